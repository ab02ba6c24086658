//! Stored notifications: in order, beside live ones, within a limit, and with any kind of data.

use std::collections::BTreeMap;

use axum::{Router, extract::State, routing::post};
use bytes::Bytes;
use serde::Deserialize;
use workflow::{ClientError, WaitResult, WorkflowContext, client::RunState, workflow};
use workflow_tests::{
    Probe, TestApp, Told,
    script::{LONG, Op, Outcome, hold, received, run, together, wait},
};

/// As many as a run may have stored, as the documentation says.
const LIMIT: usize = 1000;

/// 2b I.43: a run that is sent more than it can keep: the sender is told, nothing that was stored is lost, and there is room
/// again when the run has read some.
#[tokio::test]
async fn a_full_store_refuses_and_loses_nothing() {
    let app = TestApp::in_memory();
    let ops: Vec<Op> =
        [vec![hold("busy")], vec![wait("e"); 2], vec![hold("again")], vec![wait("e"); LIMIT]].concat();
    let run_id = app.start(ops).await;
    let mut expected = vec![Outcome::Ran];
    for number in 0..LIMIT {
        let data = number.to_string();
        assert_eq!(app.tell_run(&run_id, "e", &data).await.unwrap(), Told::Stored(run_id.clone()));
        expected.push(received(&data));
    }
    for event in ["e", "another"] {
        let refusal = app.tell_run(&run_id, event, "too many").await.unwrap_err();
        assert!(matches!(refusal, ClientError::Refused { status: 412, .. }), "{refusal}");
        assert!(refusal.to_string().contains(&run_id), "{refusal}");
        assert!(refusal.to_string().contains(&LIMIT.to_string()), "{refusal}");
    }
    let other = app.start([hold("busy"), wait("e")]).await;
    app.tell_run(&other, "e", "a limit of its own").await.unwrap();

    app.probe.open("busy");
    app.probe.reached("again", 1).await;
    for data in ["room", "for two"] {
        assert_eq!(app.tell_run(&run_id, "e", data).await.unwrap(), Told::Stored(run_id.clone()));
        expected.push(received(data));
    }
    assert!(app.tell_run(&run_id, "e", "too many").await.is_err());
    app.probe.open("again");
    expected.insert(3, Outcome::Ran);
    assert_eq!(app.outcomes(&run_id).await, expected);
    assert_eq!(app.outcomes(&other).await, [Outcome::Ran, received("a limit of its own")]);
}

/// 2b I.43: from inside a workflow, the refusal is in the recorded answer.
#[tokio::test]
async fn a_workflow_sees_that_the_store_of_another_run_is_full() {
    let app = TestApp::in_memory();
    let full = app.start([hold("busy")]).await;
    for _ in 0..LIMIT {
        app.tell_run(&full, "e", "x").await.unwrap();
    }
    let run_id = app.start([Op::NotifyRun(full.clone(), "e".to_owned(), "too many".to_owned())]).await;
    let outcomes = app.outcomes(&run_id).await;
    let [Outcome::Told(told)] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert!(
        matches!(&told[..], [Told::Refused(run, why)] if *run == full && why.contains("1000")),
        "{told:?}"
    );
    app.client.cancel_all().await.unwrap();
}

/// 2b I.44: some stored, then some live, then some stored again: always first in, first out.
#[tokio::test]
async fn stored_and_live_notifications_come_in_the_order_in_which_they_were_sent() {
    let app = TestApp::in_memory();
    let ops: Vec<Op> =
        [vec![hold("first")], vec![wait("e"); 4], vec![hold("second")], vec![wait("e"); 4]].concat();
    let run_id = app.start(ops).await;
    let told = async |data: &str| app.tell_run(&run_id, "e", data).await.unwrap();
    let (stored, live) = (Told::Stored(run_id.clone()), Told::Delivered(run_id.clone()));
    assert_eq!(told("1").await, stored);
    assert_eq!(told("2").await, stored);
    app.probe.open("first");
    app.recorded(&run_id, 3).await;
    app.waiting("e", 1).await;
    assert_eq!(told("3").await, live);
    app.waiting("e", 1).await;
    assert_eq!(told("4").await, live);
    app.probe.reached("second", 1).await;
    assert_eq!(told("5").await, stored);
    app.probe.open("second");
    app.recorded(&run_id, 7).await;
    app.waiting("e", 1).await;
    assert_eq!(told("6").await, live);
    app.waiting("e", 1).await;
    assert_eq!(app.tell("e", "7").await, std::slice::from_ref(&live), "and one for everybody");
    app.waiting("e", 1).await;
    assert_eq!(told("8").await, live);
    let ran = || vec![Outcome::Ran];
    let some = |data: [&str; 4]| data.map(received).to_vec();
    let expected = [ran(), some(["1", "2", "3", "4"]), ran(), some(["5", "6", "7", "8"])].concat();
    assert_eq!(app.outcomes(&run_id).await, expected);
}

/// 2b I.44: notifications sent at the same time from many tasks: each arrives once.
#[tokio::test(flavor = "multi_thread")]
async fn notifications_from_many_senders_arrive_once_each() {
    let app = TestApp::in_memory();
    let run_id = app.start([vec![run("begin")], vec![wait("e"); 100]].concat()).await;
    let senders: Vec<_> = (0..100)
        .map(|number| {
            let request = app.client.notify("e", &number).run_id(&run_id);
            tokio::spawn(async move { request.await.unwrap() })
        })
        .collect();
    for sender in senders {
        sender.await.unwrap();
    }
    let mut counts = BTreeMap::new();
    for outcome in app.outcomes(&run_id).await.split_off(1) {
        let Outcome::Received(number) = outcome else { panic!("{outcome:?}") };
        *counts.entry(number.parse::<u32>().unwrap()).or_insert(0) += 1;
    }
    assert_eq!(counts, (0..100).map(|number| (number, 1)).collect());
}

/// 2b I.44: the waits of a group take what is stored in their order, and the rest stays for later.
#[tokio::test]
async fn waits_side_by_side_share_what_is_stored() {
    let app = TestApp::in_memory();
    let run_id = app.start([hold("busy"), together([wait("e"), wait("f"), wait("e")]), wait("e")]).await;
    for (event, data) in [("e", "e1"), ("e", "e2"), ("e", "e3"), ("f", "f1")] {
        assert_eq!(app.tell_run(&run_id, event, data).await.unwrap(), Told::Stored(run_id.clone()));
    }
    app.probe.open("busy");
    let group = Outcome::Together(["e1", "f1", "e2"].map(received).to_vec());
    assert_eq!(app.outcomes(&run_id).await, [Outcome::Ran, group, received("e3")]);
}

#[derive(Debug, PartialEq, Deserialize)]
struct Payment {
    cents: u64,
}

fn got<T>(result: WaitResult<T>) -> T {
    result.received().expect("nothing times out here")
}

/// Waits for the events `bytes`, `text`, `maybe`, `json` and `unit`, as what these names say, and returns what came as text.
#[workflow]
async fn read_all_kinds(
    ctx: WorkflowContext<()>,
    State(probe): State<Probe>,
) -> workflow::Result<Vec<String>> {
    ctx.run("busy", async || {
        probe.hold("busy").await;
        Ok(())
    })
    .await?;
    let bytes = got(ctx.wait_for_event::<Bytes>("bytes", "bytes", LONG).await?);
    let text = got(ctx.wait_for_event::<String>("text", "text", LONG).await?);
    let maybe = got(ctx.wait_for_event::<Option<u32>>("maybe", "maybe", LONG).await?);
    let json = got(ctx.wait_for_event::<serde_json::Value>("json", "json", LONG).await?);
    got(ctx.wait_for_event::<()>("unit", "unit", LONG).await?);
    Ok(vec![format!("{bytes:?}"), text, format!("{maybe:?}"), json.to_string()])
}

#[workflow]
async fn pay(ctx: WorkflowContext<()>, State(probe): State<Probe>) -> workflow::Result<u64> {
    ctx.run("busy", async || {
        probe.hold("busy").await;
        Ok(())
    })
    .await?;
    Ok(got(ctx.wait_for_event::<Payment>("pay", "payment", LONG).await?).cents)
}

#[workflow]
async fn large(ctx: WorkflowContext<()>, State(probe): State<Probe>) -> workflow::Result<u64> {
    ctx.run("busy", async || {
        probe.hold("busy").await;
        Ok(())
    })
    .await?;
    let mut sum = 0;
    for _ in 0..2 {
        let bytes = got(ctx.wait_for_event::<Bytes>("large", "large", LONG).await?);
        sum += bytes.len() as u64;
        if bytes.iter().enumerate().any(|(place, byte)| *byte != pattern(place)) {
            return Err(workflow::Error::non_retryable("the bytes are not those that were sent"));
        }
    }
    Ok(sum)
}

fn pattern(place: usize) -> u8 {
    (place % 251) as u8
}

fn routes(router: Router<Probe>) -> Router<Probe> {
    router
        .route("/kinds", post(workflow_axum::serve::<read_all_kinds>()))
        .route("/pay", post(workflow_axum::serve::<pay>()))
        .route("/large", post(workflow_axum::serve::<large>()))
}

/// 2b I.45: empty data, null, raw text, bytes that are no UTF-8, and JSON: stored or live, each arrives as it was sent.
#[tokio::test]
async fn data_of_any_kind_arrives_as_it_was_sent() {
    let invalid_utf8: &[u8] = b"\xff\x00\xfe raw";
    let kinds: [[&[u8]; 5]; 5] = [
        // bytes, text, maybe, json, unit
        [b"", b"", b"", b"", b""],
        [b"null", b"null", b"null", b"null", b"null"],
        [invalid_utf8, b"plain text", b"7", b"{\"b\": [1, 2.5], \"a\": null}", b"plain text"],
        [b"\"quoted\"", b"\"a \\\"JSON\\\" string\\n\"", b" 8 ", b"\"text\"", b"{}"],
        ["größe".as_bytes(), "größe 🦀".as_bytes(), b"null", b"[]", invalid_utf8],
    ];
    let expected = [
        ["b\"\"", "", "None", "null"],
        ["b\"null\"", "null", "None", "null"],
        ["b\"\\xff\\0\\xfe raw\"", "plain text", "Some(7)", "{\"b\":[1,2.5],\"a\":null}"],
        ["b\"\\\"quoted\\\"\"", "a \"JSON\" string\n", "Some(8)", "\"text\""],
        ["b\"gr\\xc3\\xb6\\xc3\\x9fe\"", "größe 🦀", "None", "[]"],
    ];
    let events = ["bytes", "text", "maybe", "json", "unit"];
    for is_stored in [true, false] {
        let mut app = TestApp::on_file_with(routes);
        for (row, expected) in kinds.iter().zip(&expected) {
            let run_id = app.client.trigger_url("/kinds", &()).await.unwrap().workflow_run_id;
            if !is_stored {
                app.probe.open("busy");
            }
            for (event, data) in events.iter().zip(row) {
                if !is_stored {
                    app.waiting(event, 1).await;
                }
                let request =
                    app.client.notify(*event, &()).raw(Bytes::copy_from_slice(data)).run_id(&run_id);
                assert_eq!(request.await.unwrap()[0].waiter.is_none(), is_stored);
            }
            app.crash().await;
            app.probe.open("busy");
            let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
            let output: Vec<String> = app.output(&run_id).await;
            assert_eq!(output[..3], expected[..3], "{is_stored}");
            assert_eq!(json(&output[3]), json(expected[3]), "{is_stored}");
            app.probe.close("busy");
        }
        app.engine.shutdown().await;
    }
}

/// 2b I.45: data that does not fit the type fails the run at once, and says which event and field.
#[tokio::test]
async fn data_that_does_not_fit_fails_the_run_and_says_where() {
    let app = TestApp::in_memory_with(routes);
    app.probe.open("busy");
    for (data, why) in [
        (r#"{"cents": "many"}"#, "`cents`"),
        (r#"{"euros": 1}"#, "missing field `cents`"),
        ("", "null"),
        ("{", "EOF"),
        ("plain text", "expected"),
    ] {
        let run_id = app.client.trigger_url("/pay", &()).await.unwrap().workflow_run_id;
        app.waiting("payment", 1).await;
        app.client.notify("payment", &()).raw(data).run_id(&run_id).await.unwrap();
        let log = app.ended(&run_id).await;
        assert_eq!(log.workflow_state, RunState::RunFailed, "{data}");
        let errors = app.errors(&run_id).await;
        assert_eq!(errors.len(), 1, "no retry helps: {errors:?}");
        assert!(
            errors[0].error.contains("payment") && errors[0].error.contains(why),
            "{data}: {}",
            errors[0].error
        );
    }
    let run_id = app.client.trigger_url("/pay", &()).await.unwrap().workflow_run_id;
    app.client.notify("payment", &serde_json::json!({ "cents": 995 })).run_id(&run_id).await.unwrap();
    assert_eq!(app.output::<u64>(&run_id).await, 995);
}

/// 2b I.45: many megabytes, stored and live.
#[tokio::test]
async fn large_data_arrives_whole() {
    const SIZE: usize = 8 * 1024 * 1024;
    let app = TestApp::on_file_with(routes);
    let run_id = app.client.trigger_url("/large", &()).await.unwrap().workflow_run_id;
    let data: Bytes = (0..SIZE).map(pattern).collect::<Vec<_>>().into();
    app.client.notify("large", &()).raw(data.clone()).run_id(&run_id).await.unwrap();
    app.probe.open("busy");
    app.waiting("large", 1).await;
    app.client.notify("large", &()).raw(data).await.unwrap();
    assert_eq!(app.output::<u64>(&run_id).await, 2 * SIZE as u64);
}
