//! One client, two ways to an engine: in the process and over HTTP. What it does and answers is the same.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{fmt::Debug, sync::Arc, time::Duration};

use futures_util::{StreamExt, TryStreamExt};
use serde_json::json;
use workflow::{
    Client, ClientError, FlowControl,
    client::{FlowControlChange, HttpTransport, LogQuery, RunFilter, RunState},
};
use workflow_tests::{ELSEWHERE, TOKEN, TestApi};

/// An engine, and both clients of it.
async fn each(story: impl AsyncFn(&TestApi, &Client) -> Vec<String>) {
    let in_process = TestApi::start().await;
    let first = story(&in_process, &in_process.engine.client()).await;

    let over_http = TestApi::start().await;
    let transport = HttpTransport::new(over_http.url(), TOKEN).unwrap().base_url("http://app.test").unwrap();
    let second = story(&over_http, &Client::with_transport(Arc::new(transport))).await;
    assert_eq!(first, second);
}

/// What a test tells, without what differs from engine to engine.
fn told(what: &str, result: impl Debug) -> String {
    format!("{what}: {result:?}")
}

fn status<T: Debug>(result: Result<T, ClientError>) -> (u16, String) {
    match result {
        Err(ClientError::Refused { status, message }) => (status, message),
        other => panic!("{other:?}"),
    }
}

fn ids(ids: &[&str]) -> RunFilter {
    RunFilter { run_ids: ids.iter().map(|id| (*id).to_owned()).collect(), ..RunFilter::default() }
}

#[tokio::test]
async fn triggers() {
    each(async |_, client| {
        let first =
            client.trigger_url("/a", &json!({ "x": 1 })).run_id("one").label("l").retries(7).await.unwrap();
        let again = client.trigger_url("/a", &json!({ "x": 2 })).run_id("wfr_one").await.unwrap();
        assert!(!first.deduplicated && again.deduplicated);
        let made = client.trigger_url("http://app.test/b", &()).header("X-User", "u").await.unwrap();
        assert!(made.workflow_run_id.starts_with("wfr_") && !made.deduplicated);
        let many =
            ["x", "y"].map(|id| client.trigger_url("/many", id).run_id(id).delay(Duration::from_secs(60)));
        let many = client.trigger_many(many).await.unwrap();

        let runs = client.logs(LogQuery::default()).await.unwrap().runs;
        assert_eq!(runs.len(), 4);
        let one = runs.last().unwrap();
        let init = &one.steps[0].steps[0];
        assert_eq!(init.out.as_deref(), Some(r#"{"x":1}"#), "the first trigger wins");
        vec![
            told("first", &first.workflow_run_id),
            told("many", many.iter().map(|run| &run.workflow_run_id).collect::<Vec<_>>()),
            told("one", (&one.workflow_url, one.workflow_state, &one.labels, init.retries)),
            told("bad label", status(client.trigger_url("/a", &1).label("a b").await).0),
            told("bad header", status(client.trigger_url("/a", &1).header("a b", "c").await).0),
            told("bad url", status(client.trigger_url("ftp://a", &1).await)),
            told("bad retry delay", status(client.trigger_url("/a", &1).retry_delay("sudo(1)").await)),
            told("bad id", status(client.trigger_url("/a", &1).run_id("x".repeat(600)).await)),
            told("still", client.logs(LogQuery::default()).await.unwrap().runs.len()),
        ]
    })
    .await;
}

#[tokio::test]
async fn notifications_and_waiters() {
    each(async |api, client| {
        for run in ["one", "two", "three"] {
            let a_day = Duration::from_secs(86_400);
            client.trigger_url(ELSEWHERE, &1).run_id(run).delay(a_day).await.unwrap();
        }
        let event = "a/b ?#%é";
        for run in ["wfr_one", "wfr_two"] {
            api.wait(run, "a%2Fb%20%3F%23%25%C3%A9").await;
        }
        let waiters = client.get_waiters(event).await.unwrap();
        let waiting: Vec<_> =
            waiters.iter().map(|w| (w.run_id().unwrap().to_owned(), w.url.clone())).collect();

        let stored = client.notify(event, &"early").run_id("three").await.unwrap();
        let one = client.notify(event, &json!({ "x": 1 })).run_id("wfr_one").await.unwrap();
        let rest = client.notify(event, &()).await.unwrap();
        let nobody = client.notify(event, &1).await.unwrap();
        let run = |told: &workflow::client::Notified| (told.workflow_run_id.clone(), told.waiter.is_some());
        assert!(stored[0].waiter.is_none() && one[0].waiter.is_some());

        let once = client.notify("once", &1).run_id("two").deduplication_id("d").await.unwrap();
        let twice = client.notify("once", &1).run_id("two").deduplication_id("d").await.unwrap();
        assert!(!once[0].deduplicated && twice[0].deduplicated);
        vec![
            told("waiting", waiting),
            told("stored", stored.iter().map(run).collect::<Vec<_>>()),
            told("one", one.iter().map(run).collect::<Vec<_>>()),
            told("rest", rest.iter().map(run).collect::<Vec<_>>()),
            told("nobody", nobody),
            told("unknown run", status(client.notify(event, &1).run_id("gone").await)),
            told("bad event", status(client.notify("x".repeat(600), &1).await)),
            told("bad waiters", status(client.get_waiters(&"x".repeat(600)).await)),
        ]
    })
    .await;
}

#[tokio::test]
async fn flow_control_and_signing_keys() {
    each(async |api, client| {
        let control = client.flow_control();
        let limits = FlowControl::key("k").parallelism(3).rate(2).period(Duration::from_secs(60));
        client.trigger_url("/a", &1).run_id("one").flow_control(limits).await.unwrap();
        control.pause("k").await.unwrap();
        control.pin_parallelism("k", 5).await.unwrap();
        control.pin_rate("k", 7, Duration::from_secs(90)).await.unwrap();
        let pinned = control.get("k").await.unwrap();
        control.change("k", FlowControlChange::Unpin { parallelism: false, rate: true }).await.unwrap();
        control.resume("k").await.unwrap();
        let unpinned = control.list().await.unwrap();
        control.unpin("k").await.unwrap();
        control.reset_rate("k").await.unwrap();
        let keys = client.signing_keys().await.unwrap();
        assert_eq!(keys, api.engine.keys());
        let rotated = client.rotate_signing_keys().await.unwrap();
        assert_eq!(rotated.current, keys.next);
        assert_eq!(rotated, api.engine.keys());
        let one = client.run("one").await.unwrap().unwrap();
        vec![
            told("pinned", pinned),
            told("unpinned", unpinned),
            told("unused", control.get("other").await),
            told("global", control.global_parallelism().await),
            told("key", one.flow_control_key),
            told("bad key", status(control.pause("a/b").await)),
            told("bad pin", status(control.pin_parallelism("k", 0).await)),
        ]
    })
    .await;
}

#[tokio::test]
async fn all_runs_are_a_stream_of_pages() {
    each(async |_, client| {
        for number in 0..23 {
            client.trigger_url("/a", &number).run_id(format!("run-{number}")).await.unwrap();
        }
        let ids = async |query: LogQuery| {
            let runs: Vec<_> = client.runs(query).try_collect().await.unwrap();
            runs.into_iter().map(|run| run.workflow_run_id).collect::<Vec<_>>()
        };
        let all = ids(LogQuery::default()).await;
        let expected: Vec<_> = (0..23).rev().map(|number| format!("wfr_run-{number}")).collect();
        assert_eq!(all, expected);
        let small = ids(LogQuery { count: Some(5), ..LogQuery::default() }).await;
        assert_eq!(small, expected);
        let two = LogQuery { filter: self::ids(&["run-3", "run-20"]), ..LogQuery::default() };
        let none = LogQuery { filter: self::ids(&["gone"]), ..LogQuery::default() };
        let bad = LogQuery { cursor: Some("nonsense".to_owned()), ..LogQuery::default() };
        let bad: Vec<_> = client.runs(bad).collect().await;
        assert!(matches!(bad.as_slice(), [Err(ClientError::Refused { status: 400, .. })]), "{bad:?}");
        vec![told("two", ids(two).await), told("none", ids(none).await)]
    })
    .await;
}

#[tokio::test]
async fn triggers_with_hidden_parts() {
    each(async |_, client| {
        let trigger = |id: &str| {
            client.trigger_url("/a", "secret").run_id(id).header("X-User", "u").header("X-Plan", "p")
        };
        trigger("body").redact_body().await.unwrap();
        trigger("headers").redact_headers().await.unwrap();
        trigger("header").redact_body().redact_header("x-plan").await.unwrap();
        let mut story = Vec::new();
        for id in ["body", "headers", "header"] {
            let run = client.run(id).await.unwrap().unwrap();
            let init = run.steps[0].steps[0].clone();
            story.push(told(id, (init.out, init.headers.get("X-User"), init.headers.get("X-Plan"))));
        }
        assert_eq!(story.iter().filter(|told| told.contains("\"u\"")).count(), 2, "{story:?}");
        story
    })
    .await;
}

#[tokio::test]
async fn cancellations_and_listings() {
    each(async |_, client| {
        for number in 0..14 {
            let label = if number % 2 == 0 { "even" } else { "odd" };
            let path = format!("/{}", number % 3);
            client.trigger_url(path, &number).run_id(format!("run-{number}")).label(label).await.unwrap();
        }
        let url = |url: &str, exact_url| RunFilter {
            workflow_urls: vec![url.to_owned()],
            exact_url,
            labels: vec!["even".to_owned()],
            ..RunFilter::default()
        };
        let list = async |filter: RunFilter, cursor: Option<String>, count| {
            let page = client.logs(LogQuery { filter, cursor, count }).await.unwrap();
            let runs: Vec<_> = page.runs.iter().map(|run| run.workflow_run_id.clone()).collect();
            (runs, page.cursor)
        };
        let (first, cursor) = list(RunFilter::default(), None, None).await;
        let (second, end) = list(RunFilter::default(), cursor, None).await;
        assert_eq!((first.len(), second.len(), end), (10, 4, None));
        let mut story = vec![
            told("first", first),
            told("second", second),
            told("exact", list(url("/1", true), None, None).await.0),
            told("prefix", list(url("http://app.test/", false), None, Some(3)).await.0),
            told("ids", list(ids(&["run-3", "wfr_run-4"]), None, None).await.0),
            told("cancel exact", client.cancel(url("/1", true)).await),
            told("cancel ids", client.cancel(ids(&["run-2", "gone"])).await),
            told("cancel one", client.cancel_run("run-3").await),
            told("cancel one again", client.cancel_run("run-3").await),
            told("cancel nothing", status(client.cancel(RunFilter::default()).await)),
        ];
        let cancelled = RunFilter { states: vec![RunState::RunCanceled], ..RunFilter::default() };
        story.push(told("cancelled", list(cancelled, None, None).await.0));
        story.push(told("cancel all", client.cancel_all().await));
        let active = RunFilter { states: vec![RunState::RunStarted], ..RunFilter::default() };
        story.push(told("active", list(active, None, None).await.0));
        let bad = LogQuery { cursor: Some("nonsense".to_owned()), ..LogQuery::default() };
        story.push(told("bad cursor", status(client.logs(bad).await)));
        story
    })
    .await;
}
