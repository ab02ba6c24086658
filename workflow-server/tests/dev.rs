//! The binary `workflow dev`, as a process.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read},
    net::TcpListener,
    path::Path,
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use tempfile::TempDir;
use workflow::{
    Client,
    client::{LogQuery, RunState},
};
use workflow_server::{DEVELOPMENT_CURRENT_SIGNING_KEY, DEVELOPMENT_NEXT_SIGNING_KEY, DEVELOPMENT_TOKEN};

fn workflow(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_workflow"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command
}

/// A server that has said where it is.
struct Dev {
    process: Child,
    environment: HashMap<String, String>,
}

impl Dev {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut process =
            workflow(folder, &["dev", "--port", "0"]).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut environment = HashMap::new();
        while environment.len() < 4 {
            let line = lines.next().expect("the server prints its environment").unwrap();
            if let Some((name, value)) = line.split_once('=') {
                let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
                environment.insert(name.to_owned(), value.expect("values are quoted").to_owned());
            }
        }
        Self { process, environment }
    }

    fn client(&self) -> Client {
        Client::new(&self.environment["QSTASH_URL"], &self.environment["QSTASH_TOKEN"]).unwrap()
    }

    /// Ends it with SIGTERM, and gives its exit status.
    #[cfg(unix)]
    fn terminate(mut self) -> std::process::ExitStatus {
        let killed = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status().unwrap();
        assert!(killed.success());
        self.process.wait().unwrap()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn it_prints_the_published_credentials_and_its_address() {
    let folder = TempDir::new().unwrap();
    let dev = Dev::start(folder.path(), &[]);
    assert!(dev.environment["QSTASH_URL"].starts_with("http://127.0.0.1:"), "{:?}", dev.environment);
    assert_eq!(dev.environment["QSTASH_TOKEN"], DEVELOPMENT_TOKEN);
    assert_eq!(dev.environment["QSTASH_CURRENT_SIGNING_KEY"], DEVELOPMENT_CURRENT_SIGNING_KEY);
    assert_eq!(dev.environment["QSTASH_NEXT_SIGNING_KEY"], DEVELOPMENT_NEXT_SIGNING_KEY);
    assert!(folder.path().join("workflow-dev.db").exists());
}

#[tokio::test]
async fn it_has_the_keys_by_which_projects_recognise_a_development_server() {
    let folder = TempDir::new().unwrap();
    let dev = Dev::start(folder.path(), &[]);
    let http = workflow::client::http_client_builder().unwrap().build().unwrap();
    let keys = http.get(format!("{}/v2/keys", dev.environment["QSTASH_URL"])).bearer_auth(DEVELOPMENT_TOKEN);
    let keys: serde_json::Value =
        serde_json::from_slice(&keys.send().await.unwrap().bytes().await.unwrap()).unwrap();
    let expected = serde_json::json!({ "current": DEVELOPMENT_CURRENT_SIGNING_KEY, "next": DEVELOPMENT_NEXT_SIGNING_KEY });
    assert_eq!(keys, expected);

    let elsewhere = http.get(&dev.environment["QSTASH_URL"]).send().await.unwrap();
    assert_eq!(elsewhere.status(), 404);
    assert!(elsewhere.text().await.unwrap().contains("error"));
}

#[cfg(unix)]
#[tokio::test]
async fn runs_go_on_at_the_next_start() {
    let folder = TempDir::new().unwrap();
    let dev = Dev::start(folder.path(), &["--db", "runs.db"]);
    let trigger = dev
        .client()
        .trigger_url("http://127.0.0.1:9/later", &1)
        .run_id("later")
        .delay(Duration::from_secs(3600));
    trigger.await.unwrap();
    assert!(dev.terminate().success());

    let dev = Dev::start(folder.path(), &["--db", "runs.db"]);
    let runs = dev.client().logs(LogQuery::default()).await.unwrap().runs;
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0].workflow_run_id, "wfr_later");
    assert_eq!(runs[0].workflow_state, RunState::RunStarted);
    assert_eq!(dev.client().cancel_all().await.unwrap(), 1);
    assert!(dev.terminate().success());
}

fn fails(mut command: Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    assert_eq!(status.code(), Some(1), "{status}");
    assert_eq!(String::from_utf8(stdout).unwrap(), "", "nothing to copy where there is no server");
    String::from_utf8(stderr).unwrap()
}

#[test]
fn a_port_in_use_is_told() {
    let folder = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let error = fails(workflow(folder.path(), &["dev", "--port", &port]));
    assert!(error.contains(&port) && error.contains("--port"), "{error}");
    assert!(
        !folder.path().join("workflow-dev.db").exists(),
        "no file is made for a server that does not start"
    );
}

#[test]
fn a_file_in_use_is_told() {
    let folder = TempDir::new().unwrap();
    let _first = Dev::start(folder.path(), &[]);
    let error = fails(workflow(folder.path(), &["dev", "--port", "0"]));
    assert!(error.contains("workflow-dev.db") && error.contains("another process"), "{error}");
}

#[test]
fn a_file_that_is_none_of_an_engine_is_told_and_left_alone() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("notes.txt");
    std::fs::write(&file, "these are notes, and no database at all ".repeat(100)).unwrap();
    let error = fails(workflow(folder.path(), &["dev", "--port", "0", "--db", "notes.txt"]));
    assert!(error.contains("error: "), "{error}");
    let mut kept = String::new();
    std::fs::File::open(file).unwrap().read_to_string(&mut kept).unwrap();
    assert!(kept.starts_with("these are notes"));

    let error = fails(workflow(folder.path(), &["dev", "--port", "0", "--db", "no/such/folder/x.db"]));
    assert!(error.contains("no/such/folder"), "{error}");
}
