//! The story checks itself as it goes; here it is told once. And the process is asked to end in the middle of a step.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::Path, time::Duration};

use tokio::process::{Child, Command};
use workflow::Client;

fn example(data: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_order-actix-example"));
    command.arg("--data").arg(data).env_remove("QSTASH_TOKEN").env_remove("QSTASH_URL").kill_on_drop(true);
    command
}

#[tokio::test]
async fn the_story_comes_true() {
    let data = tempfile::tempdir().unwrap();
    let told = example(data.path()).args(["--once", "--port", "0"]).output().await.unwrap();
    let (text, errors) = (String::from_utf8_lossy(&told.stdout), String::from_utf8_lossy(&told.stderr));
    assert!(told.status.success(), "{text}\n{errors}");
    for scene in ["(a)", "(b)", "(c)", "(d)", "the card was charged 1 time, and packing began 2 times"] {
        assert!(text.contains(scene), "{scene} in {text}\n{errors}");
    }
}

#[tokio::test]
async fn asked_to_end_it_lets_the_step_end_that_is_running() {
    let data = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let client = Client::new(&format!("http://127.0.0.1:{port}"), "order-example-token").unwrap();

    let mut process = serve(data.path(), port).await;
    let order = serde_json::json!({ "orderId": 7, "item": "samovar" });
    let run = client.trigger_url(format!("http://127.0.0.1:{port}/api/ship-order"), &order).await.unwrap();
    ledger_tells(data.path(), "is being packed").await;
    let kill = format!("kill -TERM {}", process.id().unwrap());
    let asked = Command::new("sh").args(["-c", &kill]).status().await.unwrap();
    assert!(asked.success());
    let status = tokio::time::timeout(Duration::from_secs(60), process.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
    ledger_tells(data.path(), "the parcel is sent").await;

    let _process = serve(data.path(), port).await;
    let shipped = until("the run ends", async || {
        client.run(&run.workflow_run_id).await.unwrap()?.workflow_run_response
    });
    assert!(shipped.await.contains("sent as TRK000007"));
    let ledger = std::fs::read_to_string(data.path().join("ledger.txt")).unwrap();
    for once in ["the card is charged", "is being packed", "the parcel is sent"] {
        assert_eq!(ledger.matches(once).count(), 1, "{ledger}");
    }
}

/// Starts the app and waits until it listens.
async fn serve(data: &Path, port: u16) -> Child {
    let process = example(data).args(["--serve", "--port", &port.to_string()]).spawn().unwrap();
    until("it listens", async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok()).await;
    process
}

async fn ledger_tells(data: &Path, deed: &str) {
    let ledger = data.join("ledger.txt");
    until(deed, async || std::fs::read_to_string(&ledger).ok().filter(|ledger| ledger.contains(deed))).await;
}

/// Waits until something is the case; gives up after a minute.
async fn until<T>(what: &str, check: impl AsyncFn() -> Option<T>) -> T {
    let look = async {
        loop {
            match check().await {
                Some(found) => return found,
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), look)
        .await
        .unwrap_or_else(|_| panic!("{what}: not within a minute"))
}
