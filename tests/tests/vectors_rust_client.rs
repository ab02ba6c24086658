//! What the Rust client sends, beside what the TypeScript client was recorded to send for the same call, and what it makes of
//! the recorded answers.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod vectors;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::Request, response::IntoResponse};
use serde_json::{Value, json};
use tokio::{io::AsyncReadExt, net::TcpListener};
use url::Url;
use workflow::{
    Client, ClientError, FlowControl,
    client::{DlqFilter, DlqQuery, LogQuery, RateLimit, RunFilter, RunState},
};
use workflow_tests::{Served, TOKEN};

use self::vectors::Vector;

/// Answers every request as recorded, and keeps the last one.
struct Recorded {
    served: Served,
    seen: Arc<Mutex<Vec<Seen>>>,
    vector: Vector,
}

#[derive(Clone, Debug)]
struct Seen {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Recorded {
    async fn play(scenario: &str) -> Self {
        Self::answer(Vector::load(scenario)).await
    }

    async fn answer(vector: Vector) -> Self {
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let response = &vector.exchanges[0].response;
        let (status, body) = (response.status, response.body.clone());
        let headers: http::HeaderMap = response
            .headers
            .iter()
            .map(|(name, value)| (name.parse::<http::HeaderName>().unwrap(), value.parse().unwrap()))
            .collect();
        let keep = Arc::clone(&seen);
        let router = Router::new().fallback(async move |request: Request| {
            let (parts, request_body) = request.into_parts();
            let request_body = axum::body::to_bytes(request_body, usize::MAX).await.unwrap();
            let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
            keep.lock().unwrap().push(Seen {
                method: parts.method.to_string(),
                path: parts.uri.to_string(),
                headers: parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
                body: String::from_utf8(request_body.to_vec()).unwrap(),
            });
            (http::StatusCode::from_u16(status).unwrap(), headers.clone(), body).into_response()
        });
        Self { served: Served::start(router).await, seen, vector }
    }

    fn client(&self) -> Client {
        Client::new(self.served.url(), TOKEN).unwrap()
    }

    /// The one request that was sent, which has the recorded method, path, query and token.
    fn request(&self) -> Seen {
        let seen = self.seen.lock().unwrap();
        let [request] = seen.as_slice() else { panic!("{} requests: {seen:#?}", seen.len()) };
        let recorded = &self.vector.exchanges[0].request;
        assert_eq!(request.method, recorded.method);
        assert_eq!(target(&request.path), target(&recorded.path));
        assert_eq!(request.headers["authorization"], recorded.headers["authorization"]);
        request.clone()
    }

    /// The entries of the batch that was sent, and the recorded ones, without what the clients do not have in common.
    fn entries(&self) -> (Value, Value) {
        let sent = serde_json::from_str(&self.request().body).unwrap();
        let recorded = serde_json::from_str(&self.vector.exchanges[0].request.body).unwrap();
        (in_common(sent), in_common(recorded))
    }
}

/// A path with its query parameters sorted.
fn target(path: &str) -> (String, Vec<(String, String)>) {
    let url = Url::parse("http://engine.test").unwrap().join(path).unwrap();
    let mut query: Vec<_> = url.query_pairs().into_owned().collect();
    query.sort();
    (url.path().to_owned(), query)
}

/// The Rust client sends no telemetry, and does not offer to fetch the steps of a run.
fn in_common(mut entries: Value) -> Value {
    for entry in entries.as_array_mut().unwrap() {
        let headers = entry["headers"].as_object_mut().unwrap();
        headers.retain(|name, _| !name.contains("telemetry"));
        for (name, value) in headers.iter_mut().filter(|(name, _)| name.ends_with("feature-set")) {
            assert!(value.as_str().unwrap().contains("WF_TriggerOnConfig"), "{name}: {value}");
            *value = json!(value.as_str().unwrap().replace("LazyFetch,", ""));
        }
    }
    entries
}

#[tokio::test]
async fn a_minimal_trigger_is_the_same() {
    let recorded = Recorded::play("trigger-minimal").await;
    let triggered = recorded
        .client()
        .trigger_url("http://app.test/wf", &())
        .raw("", "application/json")
        .run_id("id1")
        .await;
    let (sent, expected) = recorded.entries();
    assert_eq!(sent, expected);
    assert_eq!(triggered.unwrap().workflow_run_id, "wfr_id1");
    assert_eq!(recorded.request().headers["content-type"], "application/json");
}

#[tokio::test]
async fn a_trigger_with_all_options_is_the_same() {
    let recorded = Recorded::play("trigger-all-options").await;
    recorded
        .client()
        .trigger_url("http://app.test/wf", &json!({ "a": 1 }))
        .run_id("id1")
        .header("X-User", "u")
        .header("Authorization", "Bearer t")
        .header("Content-Type", "application/json")
        .retries(5)
        .retry_delay("pow(2, retried) * 1000")
        .delay(Duration::from_secs(34 * 3600))
        .not_before(1_900_000_000)
        .label("l1")
        .label("l2")
        .flow_control(FlowControl::key("k.1-a_b").parallelism(3).rate(10).period(Duration::from_secs(60)))
        .failure_url("http://other.test/fail")
        .redact_body()
        .redact_headers()
        .await
        .unwrap();
    let (sent, mut expected) = recorded.entries();
    let headers = &mut expected[0]["headers"];
    // The same times, in seconds.
    assert_eq!(headers["upstash-delay"], "1d10h");
    headers["upstash-delay"] = json!("122400s");
    for name in ["upstash-flow-control-value", "upstash-failure-callback-flow-control-value"] {
        assert_eq!(headers[name], "parallelism=3, rate=10, period=1m");
        headers[name] = json!("parallelism=3, rate=10, period=60s");
    }
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn several_triggers_are_one_batch() {
    let recorded = Recorded::play("trigger-batch").await;
    let client = recorded.client();
    let entries: Value = serde_json::from_str(&recorded.vector.exchanges[0].request.body).unwrap();
    let requests = entries.as_array().unwrap().iter().map(|entry| {
        let header = |name: &str| entry["headers"][name].as_str().unwrap_or_default().to_owned();
        let body = entry["body"].as_str().unwrap_or_default().to_owned();
        let request =
            client.trigger_url(entry["destination"].as_str().unwrap(), &()).raw(body, header("content-type"));
        let request = request.run_id(header("upstash-workflow-runid"));
        match entry["headers"].get("upstash-label") {
            Some(label) => request.label(label.as_str().unwrap()),
            None => request,
        }
    });
    let triggered = client.trigger_many(requests).await.unwrap();
    let (sent, expected) = recorded.entries();
    assert_eq!(sent, expected);
    let ids: Vec<_> = triggered.iter().map(|run| run.workflow_run_id.as_str()).collect();
    assert_eq!(ids, ["wfr_a", "wfr_b"]);
}

#[tokio::test]
async fn no_triggers_are_no_request() {
    let recorded = Recorded::play("trigger-minimal").await;
    assert_eq!(recorded.client().trigger_many([]).await.unwrap(), []);
    assert!(recorded.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_chosen_id_is_told_to_be_active_and_a_made_one_cannot_be() {
    let recorded = Recorded::play("trigger-deduplicated").await;
    let chosen = recorded.client().trigger_url("http://app.test/wf", &1).run_id("id1").await.unwrap();
    assert!(chosen.deduplicated);
    let made = recorded.client().trigger_url("http://app.test/wf", &1).await.unwrap();
    assert!(!made.deduplicated);
    assert!(made.workflow_run_id.starts_with("wfr_") && made.workflow_run_id.len() == 25, "{made:?}");
}

#[tokio::test]
async fn notifications_are_the_same() {
    for (scenario, data) in
        [("notify", Some(json!({ "a": 1 }))), ("notify-string", None), ("notify-no-data", None)]
    {
        let recorded = Recorded::play(scenario).await;
        let body = recorded.vector.exchanges[0].request.body.clone();
        let client = recorded.client();
        let request = match data {
            Some(data) => client.notify("evt", &data),
            None => client.notify("evt", &()).raw(body.clone()),
        };
        let notified = request.await.unwrap();
        assert_eq!(recorded.request().body, body, "{scenario}");
        let expected = recorded.vector.resolved().as_array().unwrap();
        assert_eq!(notified.len(), expected.len(), "{scenario}");
        for (notified, expected) in notified.iter().zip(expected) {
            assert_eq!(notified.workflow_run_id, expected["workflowRunId"].as_str().unwrap());
            assert_eq!(notified.waiter.as_ref().unwrap().run_id(), Some(notified.workflow_run_id.as_str()));
        }
    }
}

#[tokio::test]
async fn a_notification_with_lookback_is_the_same() {
    for (scenario, waits) in [("notify-lookback", false), ("notify-lookback-waiter", true)] {
        let recorded = Recorded::play(scenario).await;
        let notified = recorded.client().notify("evt", &json!({ "a": 1 })).run_id("wfr_1").await.unwrap();
        assert_eq!(recorded.request().body, r#"{"a":1}"#);
        assert_eq!(notified.len(), 1);
        assert_eq!(notified[0].workflow_run_id, "wfr_1");
        assert_eq!(notified[0].waiter.is_some(), waits, "{scenario}");
    }
}

#[tokio::test]
async fn an_event_id_is_escaped_into_one_segment() {
    let recorded = Recorded::play("notify-no-data").await;
    recorded.client().notify("user 1/ver?fied#é", &1).await.unwrap();
    assert_eq!(recorded.seen.lock().unwrap()[0].path, "/v2/notify/user%201%2Fver%3Ffied%23%C3%A9");
}

#[tokio::test]
async fn listing_waiters_and_runs_is_the_same() {
    let recorded = Recorded::play("get-waiters").await;
    let waiters = recorded.client().get_waiters("evt").await.unwrap();
    recorded.request();
    assert_eq!(serde_json::to_value(&waiters).unwrap(), *recorded.vector.resolved());

    let recorded = Recorded::play("logs").await;
    let page = recorded.client().logs(LogQuery::default()).await.unwrap();
    recorded.request();
    assert_eq!((page.cursor, page.runs.len()), (None, 0));

    let recorded = Recorded::play("logs-legacy").await;
    let filter = RunFilter {
        run_ids: vec!["wfr_1".to_owned()],
        states: vec![RunState::RunFailed],
        ..RunFilter::default()
    };
    recorded.client().logs(LogQuery { filter, cursor: None, count: Some(5) }).await.unwrap();
    recorded.request();
}

#[tokio::test]
async fn cancelling_is_the_same() {
    let url = |exact_url| RunFilter {
        workflow_urls: vec![if exact_url { "http://app.test/wf" } else { "http://app.test/" }.to_owned()],
        exact_url,
        ..RunFilter::default()
    };
    let ids = |ids: &[&str]| RunFilter {
        run_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
        ..RunFilter::default()
    };
    for (scenario, filter) in [
        ("cancel-id", ids(&["wfr_1"])),
        ("cancel-ids", ids(&["wfr_1", "wfr_2"])),
        ("cancel-url-exact", url(true)),
        ("cancel-url-prefix", url(false)),
    ] {
        let recorded = Recorded::play(scenario).await;
        let cancelled = recorded.client().cancel(filter).await.unwrap();
        recorded.request();
        assert_eq!(cancelled, recorded.vector.resolved()["cancelled"], "{scenario}");
    }
    let recorded = Recorded::play("cancel-all").await;
    assert_eq!(recorded.client().cancel_all().await.unwrap(), 9);
    recorded.request();
}

#[tokio::test]
async fn the_dead_letter_queue_is_listed_in_the_same_way() {
    let recorded = Recorded::play("dlq-list").await;
    let page = recorded.client().dlq().list(DlqQuery::default()).await.unwrap();
    recorded.request();
    assert_eq!(page.cursor, None);
    let messages = serde_json::to_value(&page.messages).unwrap();
    assert_eq!(messages, recorded.vector.resolved()["messages"]);
}

#[tokio::test]
async fn resuming_and_restarting_is_the_same() {
    let filter = || DlqQuery {
        filter: DlqFilter {
            labels: vec!["l".to_owned()],
            workflow_url: Some("http://app.test/wf".to_owned()),
            ..DlqFilter::default()
        },
        count: Some(30),
        cursor: Some("c".to_owned()),
    };
    let limits = || FlowControl::key("k").parallelism(3).rate(10).period(Duration::from_secs(60));
    for scenario in [
        "dlq-resume-id",
        "dlq-resume-legacy",
        "dlq-resume-ids-options",
        "dlq-resume-filter",
        "dlq-resume-all",
        "dlq-restart-id",
        "dlq-restart-legacy",
        "dlq-restart-filter",
        "dlq-restart-all",
    ] {
        let recorded = Recorded::play(scenario).await;
        let dlq = recorded.client().dlq();
        let request = match scenario {
            "dlq-resume-id" => dlq.resume("d1"),
            "dlq-resume-legacy" => dlq.resume("d1").retries(3),
            "dlq-resume-ids-options" => dlq.resume(["d1", "d2"]).retries(5).flow_control(limits()),
            "dlq-resume-filter" => dlq.resume(filter()),
            "dlq-resume-all" => dlq.resume_all(),
            "dlq-restart-id" => dlq.restart("d1"),
            "dlq-restart-legacy" => dlq.restart("d1").retries(3),
            "dlq-restart-filter" => dlq.restart(filter()),
            _ => dlq.restart_all(),
        };
        let revived = request.await.unwrap();
        let sent = recorded.request();
        let exchange = &recorded.vector.exchanges[0];
        let overrides = |headers: &BTreeMap<String, String>| {
            let overrides = headers.clone().into_iter().filter(|(name, _)| name.starts_with("upstash-"));
            overrides.map(|(name, value)| (name, value.replace("60s", "1m"))).collect::<Vec<_>>()
        };
        assert_eq!(overrides(&sent.headers), overrides(&exchange.request.headers), "{scenario}");
        let answer = exchange.response.json();
        assert_eq!(json!(revived.workflow_runs), answer["workflowRuns"], "{scenario}");
        let cursor = answer["cursor"].as_str().filter(|cursor| !cursor.is_empty());
        assert_eq!(revived.cursor.as_deref(), cursor, "{scenario}");
    }
}

#[tokio::test]
async fn deleting_of_the_dead_letter_queue_is_the_same() {
    let filter =
        DlqFilter { labels: vec!["l".to_owned()], from: Some(1_700_000_000_000), ..DlqFilter::default() };
    for scenario in ["dlq-delete-id", "dlq-delete-ids", "dlq-delete-filter", "dlq-delete-all"] {
        let recorded = Recorded::play(scenario).await;
        let dlq = recorded.client().dlq();
        let request = match scenario {
            "dlq-delete-id" => dlq.delete("d1"),
            "dlq-delete-ids" => dlq.delete(["d1", "d2"]),
            "dlq-delete-filter" => dlq.delete(filter.clone()),
            _ => dlq.delete_all().count(10),
        };
        let deleted = serde_json::to_value(request.await.unwrap()).unwrap();
        recorded.request();
        assert_eq!(deleted, *recorded.vector.resolved(), "{scenario}");
    }
}

#[tokio::test]
async fn retrying_a_failure_function_is_the_same() {
    let recorded = Recorded::play("dlq-retry-failure-function").await;
    let retried = recorded.client().dlq().retry_failure_function("d1").await.unwrap();
    recorded.request();
    assert_eq!(json!(retried), *recorded.vector.resolved());
    let recorded = Recorded::play("error-404").await;
    let refused = recorded.client().dlq().retry_failure_function("d1").await.unwrap_err();
    assert!(matches!(refused, ClientError::Refused { status: 404, .. }), "{refused}");
}

#[tokio::test]
async fn no_ids_of_the_dead_letter_queue_are_no_request() {
    for scenario in ["dlq-resume-empty", "dlq-restart-empty"] {
        assert!(Vector::load(scenario).exchanges.is_empty());
    }
    let recorded = Recorded::play("dlq-list").await;
    let dlq = recorded.client().dlq();
    assert_eq!(dlq.resume(Vec::new()).await.unwrap().workflow_runs, []);
    assert_eq!(dlq.restart(Vec::new()).await.unwrap().workflow_runs, []);
    assert_eq!(dlq.delete(Vec::new()).await.unwrap().deleted, 0);
    assert!(recorded.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_filter_that_selects_by_nothing_cancels_nothing() {
    let recorded = Recorded::play("cancel-all").await;
    let error = recorded.client().cancel(RunFilter::default()).await.unwrap_err();
    assert!(matches!(error, ClientError::Refused { status: 400, .. }), "{error}");
    assert!(recorded.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_refusal_keeps_its_status_and_its_reason_and_is_not_repeated() {
    for (scenario, status, reason) in [
        ("error-400", 400, "invalid destination url"),
        ("error-401", 401, "unauthorized"),
        ("error-404", 404, "dlq message not found"),
        ("error-500-empty", 500, "Internal Server Error"),
    ] {
        let recorded = Recorded::play(scenario).await;
        let error = recorded.client().trigger_url("http://app.test/wf", &1).await.unwrap_err();
        let ClientError::Refused { status: refused, message } = error else { panic!("{scenario}: {error}") };
        assert_eq!((refused, message.as_str()), (status, reason), "{scenario}");
        assert_eq!(recorded.seen.lock().unwrap().len(), 1, "{scenario}");
    }
}

#[tokio::test]
async fn a_limit_of_the_account_is_told_with_its_end_and_not_tried_again() {
    let recorded = Recorded::play("error-429-daily").await;
    let error = recorded.client().trigger_url("http://app.test/wf", &1).await.unwrap_err();
    let ClientError::RateLimited { limit, message, resets_at } = error else { panic!("{error}") };
    assert_eq!((limit, message.as_str()), (RateLimit::Daily, "too many"));
    let reset = Duration::from_secs(1_700_000_001);
    assert_eq!(resets_at, Some(std::time::SystemTime::UNIX_EPOCH + reset));
    assert_eq!(recorded.seen.lock().unwrap().len(), 1);

    // Another engine says in how many seconds.
    let recorded = Recorded::answer(Vector::load_python("error-429")).await;
    let error = recorded.client().get_waiters("evt").await.unwrap_err();
    let ClientError::RateLimited { limit, resets_at, .. } = error else { panic!("{error}") };
    assert_eq!(limit, RateLimit::Daily);
    assert!(resets_at > Some(std::time::SystemTime::UNIX_EPOCH + reset));
}

#[tokio::test]
async fn signing_keys_are_asked_for_as_by_other_clients() {
    let expected = json!({ "current": "sig_test_current_key", "next": "sig_test_next_key" });
    let recorded = Recorded::answer(Vector::load_python("signing-key-get")).await;
    let keys = recorded.client().signing_keys().await.unwrap();
    recorded.request();
    assert_eq!(serde_json::to_value(&keys).unwrap(), expected);

    let recorded = Recorded::answer(Vector::load_python("signing-key-rotate")).await;
    let keys = recorded.client().rotate_signing_keys().await.unwrap();
    recorded.request();
    assert_eq!(serde_json::to_value(&keys).unwrap(), expected);
}

#[tokio::test]
async fn flow_control_that_makes_no_sense_is_refused_before_anything_is_sent() {
    for (scenario, limits) in [
        ("trigger-bad-flow-key", FlowControl::key("a/b").parallelism(1)),
        ("trigger-flow-no-limits", FlowControl::key("k")),
    ] {
        assert!(Vector::load(scenario).exchanges.is_empty());
        let recorded = Recorded::play("trigger-minimal").await;
        let error = recorded.client().trigger_url("http://app.test/wf", &1).flow_control(limits).await;
        assert!(matches!(error, Err(ClientError::Refused { status: 400, .. })), "{scenario}: {error:?}");
        assert!(recorded.seen.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn all_filters_are_sent() {
    let recorded = Recorded::play("logs").await;
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let filter = RunFilter {
        run_ids: texts(&["a"]),
        runs: vec![("b".to_owned(), 7)],
        workflow_urls: texts(&["http://a/x,y", "http://b/"]),
        exact_url: true,
        hosts: texts(&["a", "b:1"]),
        paths: texts(&["/p"]),
        labels: texts(&["l", "m"]),
        flow_control_keys: texts(&["k"]),
        caller_ips: texts(&["1.2.3.4"]),
        message_ids: texts(&["msg_1"]),
        states: vec![RunState::RunSuccess, RunState::RunFailed],
        from: Some(1),
        to: Some(2),
        created_at: Some(3),
    };
    let client = recorded.client();
    client
        .logs(LogQuery { filter: filter.clone(), cursor: Some("c".to_owned()), count: Some(4) })
        .await
        .unwrap();
    let sent = target(&recorded.seen.lock().unwrap()[0].path).1;
    let expected = [
        ("callerIp", "1.2.3.4"),
        ("count", "4"),
        ("cursor", "c"),
        ("flowControlKey", "k"),
        ("fromDate", "1"),
        ("groupBy", "workflowRunId"),
        ("host", "a"),
        ("host", "b:1"),
        ("label", "l"),
        ("label", "m"),
        ("messageId", "msg_1"),
        ("path", "/p"),
        ("state", "RUN_FAILED"),
        ("state", "RUN_SUCCESS"),
        ("toDate", "2"),
        ("workflowCreatedAt", "3"),
        ("workflowRunId", "wfr_a"),
        ("workflowRuns", "wfr_b@7"),
        ("workflowUrl", "http://a/x,y"),
        ("workflowUrl", "http://b/"),
    ];
    assert_eq!(sent, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));

    // What only listings know would be ignored elsewhere, and more be cancelled than was meant.
    for filter in [
        RunFilter { message_ids: filter.message_ids, ..RunFilter::default() },
        RunFilter { runs: filter.runs, ..RunFilter::default() },
    ] {
        let error = client.cancel(filter).await;
        assert!(matches!(error, Err(ClientError::Refused { status: 400, .. })), "{error:?}");
    }
    assert_eq!(recorded.seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_payload_that_does_not_serialize_is_told_when_the_trigger_is_awaited() {
    let recorded = Recorded::play("trigger-minimal").await;
    let odd = BTreeMap::from([((1, 2), "a key that is no text")]);
    let error = recorded.client().trigger_url("http://app.test/wf", &odd).await.unwrap_err();
    assert!(matches!(&error, ClientError::Encoding(message) if message.contains("payload")), "{error}");
    assert!(recorded.seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn labels_and_headers_that_cannot_travel_are_refused_before_anything_is_sent() {
    let recorded = Recorded::play("trigger-minimal").await;
    let client = recorded.client();
    for request in [
        client.trigger_url("http://app.test/wf", &1).label("two words"),
        client.trigger_url("http://app.test/wf", &1).label("a,b"),
        client.trigger_url("http://app.test/wf", &1).label(""),
        client.trigger_url("http://app.test/wf", &1).header("a b", "c"),
        client.trigger_url("http://app.test/wf", &1).header("a", "b\nc"),
    ] {
        let error = request.await.unwrap_err();
        assert!(matches!(error, ClientError::Refused { status: 400, .. }), "{error}");
    }
    let error = client.trigger_url("/wf", &1).await.unwrap_err().to_string();
    assert!(error.contains("UPSTASH_WORKFLOW_URL"), "{error}");
    assert!(recorded.seen.lock().unwrap().is_empty());
}

/// A server that drops its first connections without an answer.
async fn flaky(drops: usize) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answers = count.fetch_add(1, Ordering::SeqCst) >= drops;
            let mut request = [0; 64 * 1024];
            let _ = stream.read(&mut request).await;
            if answers {
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]";
                tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await.unwrap();
            }
        }
    });
    (url, connections)
}

#[tokio::test]
async fn a_lost_connection_is_tried_again() {
    let (url, connections) = flaky(2).await;
    let waiters = Client::new(&url, TOKEN).unwrap().get_waiters("evt").await.unwrap();
    assert_eq!(waiters, []);
    assert_eq!(connections.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn after_five_repetitions_the_engine_counts_as_unreachable() {
    let (url, connections) = flaky(usize::MAX).await;
    let error = Client::new(&url, TOKEN).unwrap().get_waiters("evt").await.unwrap_err();
    assert!(matches!(&error, ClientError::Unreachable { url: tried, .. } if *tried == url), "{error}");
    assert_eq!(connections.load(Ordering::SeqCst), 6);
}
