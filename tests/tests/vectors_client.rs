//! The recorded requests of the TypeScript client, replayed against the HTTP API: the answers have the recorded shapes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod vectors;

use serde_json::{Value, json};
use workflow_tests::{Answer, ELSEWHERE, TestApi, eventually};

use self::vectors::{Exchange, Vector, all};

/// Recorded calls that are not replayed, by the beginning of the file name, with the reason.
const NOT_REPLAYED: &[(&str, &str)] = &[
    ("error-429-daily", "the recorder played an account limit, and this engine has no accounts"),
    ("error-500-empty", "the recorder played a fault of the engine"),
];

/// Sends a recorded request as it was.
async fn replay(api: &TestApi, vector: &Vector) -> Answer {
    let [exchange] = vector.exchanges.as_slice() else { panic!("{}: not one exchange", vector.scenario) };
    send(api, exchange).await
}

async fn send(api: &TestApi, exchange: &Exchange) -> Answer {
    let request = &exchange.request;
    let headers: Vec<_> =
        request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    api.send_plain(&request.method, &request.path, &headers, request.body.clone()).await
}

/// Replays a call and compares the answer with the recorded one, but for the values.
async fn answers(api: &TestApi, scenario: &str) -> Value {
    let vector = Vector::load(scenario);
    let answer = replay(api, &vector).await;
    let recorded = &vector.exchanges[0].response;
    assert_eq!(answer.status, recorded.status, "{scenario}: {answer:?}");
    assert_eq!(answer.headers["content-type"], "application/json", "{scenario}");
    let body = answer.json();
    fits(&recorded.json(), &body, scenario);
    body
}

/// Every field of `expected` is in `actual`, with a value of the same type.
fn fits(expected: &Value, actual: &Value, at: &str) {
    match (expected, actual) {
        (Value::Object(expected), Value::Object(actual)) => {
            for (name, value) in expected {
                let at = format!("{at}.{name}");
                fits(value, actual.get(name).unwrap_or_else(|| panic!("{at} is missing in {actual:?}")), &at);
            }
        }
        (Value::Array(expected), Value::Array(actual)) => {
            assert_eq!(actual.len(), expected.len(), "{at}");
            for (position, (expected, actual)) in expected.iter().zip(actual).enumerate() {
                fits(expected, actual, &format!("{at}[{position}]"));
            }
        }
        (Value::String(_), Value::String(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::Bool(_), Value::Bool(_))
        | (Value::Null, Value::Null) => {}
        _ => panic!("{at} is {actual}, not like {expected}"),
    }
}

async fn run(api: &TestApi, id: &str) -> Value {
    let logs = api.send("GET", &format!("/v2/workflows/logs?workflowRunId={id}"), &[], "").await.json();
    assert_eq!(logs["runs"].as_array().map(Vec::len), Some(1), "{logs}");
    logs["runs"][0].clone()
}

async fn active_runs(api: &TestApi) -> usize {
    let logs = api.send("GET", "/v2/workflows/logs?state=RUN_STARTED", &[], "").await.json();
    logs["runs"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn triggers_start_the_runs_they_name() {
    for scenario in [
        "trigger-minimal",
        "trigger-no-telemetry",
        "trigger-default-retries",
        "trigger-string-body",
        "trigger-zero-retries-numeric-delay",
        "trigger-all-options",
    ] {
        let api = TestApi::start().await;
        answers(&api, scenario).await;
        let vector = Vector::load(scenario);
        let run = run(&api, vector.resolved()["workflowRunId"].as_str().unwrap()).await;
        assert_eq!(run["workflowUrl"], "http://app.test/wf", "{scenario}");
        assert_eq!(run["workflowState"], "RUN_STARTED", "{scenario}");
    }
}

#[tokio::test]
async fn a_triggers_options_are_understood() {
    let api = TestApi::start().await;
    answers(&api, "trigger-all-options").await;
    let all = run(&api, "wfr_id1").await;
    assert_eq!(all["labels"], json!(["l1", "l2"]));
    assert_eq!(all["label"], "l1");
    let init = &all["steps"][0]["steps"][0];
    assert_eq!(init["stepType"], "Initial");
    assert_eq!(init["retries"], 5);
    assert_eq!(init["retryDelay"], "pow(2, retried) * 1000");
    // The trigger asks for its body to be hidden.
    let hash = "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862";
    assert_eq!(init["out"], format!("REDACTED:{hash}"));
    // And its headers.
    assert!(init["headers"]["X-User"][0].as_str().unwrap().starts_with("REDACTED:"), "{init}");
    assert_eq!(all["flowControlKey"], "k.1-a_b");

    let api = TestApi::start().await;
    answers(&api, "trigger-string-body").await;
    assert_eq!(run(&api, "wfr_id1").await["steps"][0]["steps"][0]["out"], "plain");

    let api = TestApi::start().await;
    answers(&api, "trigger-zero-retries-numeric-delay").await;
    assert_eq!(run(&api, "wfr_id1").await["steps"][0]["steps"][0]["retries"], 0);
}

#[tokio::test]
async fn a_batch_starts_all_its_runs() {
    let api = TestApi::start().await;
    answers(&api, "trigger-batch").await;
    assert_eq!(run(&api, "wfr_a").await["workflowUrl"], "http://app.test/a");
    assert_eq!(run(&api, "wfr_b").await["workflowUrl"], "http://app.test/b");
}

#[tokio::test]
async fn a_second_trigger_of_an_active_id_is_deduplicated() {
    let api = TestApi::start().await;
    answers(&api, "trigger-minimal").await;
    let answer = answers(&api, "trigger-deduplicated").await;
    assert_eq!(answer[0]["deduplicated"], true);
    assert_eq!(active_runs(&api).await, 1);
}

#[tokio::test]
async fn notifications_are_answered_with_the_waiters() {
    let api = TestApi::start().await;
    api.trigger("wfr_1").await;
    api.wait("wfr_1", "evt").await;
    let answer = answers(&api, "notify").await;
    assert_eq!(answer[0]["workflowRunId"], "wfr_1");
    assert_eq!(answer[0]["waiter"]["url"], ELSEWHERE);
    assert_eq!(answer[0]["waiter"]["headers"]["Upstash-Workflow-Runid"], json!(["wfr_1"]));
}

#[tokio::test]
async fn notifications_without_waiters_are_answered_with_an_empty_list() {
    let api = TestApi::start().await;
    for scenario in ["notify-no-data", "notify-string", "notify-special-chars"] {
        assert_eq!(answers(&api, scenario).await, json!([]), "{scenario}");
    }
}

#[tokio::test]
async fn an_event_id_with_a_slash_and_a_space_reaches_its_waiter() {
    let api = TestApi::start().await;
    api.trigger("wfr_1").await;
    api.wait("wfr_1", "user%201/verified").await;
    let answer = replay(&api, &Vector::load("notify-special-chars")).await;
    assert_eq!(answer.json()[0]["workflowRunId"], "wfr_1");
}

#[tokio::test]
async fn a_notification_with_lookback_is_answered_with_one_object() {
    let api = TestApi::start().await;
    api.trigger("wfr_1").await;
    let stored = answers(&api, "notify-lookback").await;
    assert_eq!(stored["workflowRunId"], "wfr_1");
    assert!(stored.get("waiter").is_none(), "{stored}");

    let api = TestApi::start().await;
    api.trigger("wfr_1").await;
    api.wait("wfr_1", "evt").await;
    let delivered = answers(&api, "notify-lookback-waiter").await;
    assert_eq!(delivered["waiter"]["headers"]["Upstash-Workflow-Runid"], json!(["wfr_1"]));
}

#[tokio::test]
async fn waiters_are_listed() {
    let api = TestApi::start().await;
    assert_eq!(answers(&api, "get-waiters-empty").await, json!([]));
    api.trigger("wfr_1").await;
    api.wait("wfr_1", "evt").await;
    let waiters = answers(&api, "get-waiters").await;
    assert_eq!(waiters[0]["timeoutUrl"], ELSEWHERE);
}

#[tokio::test]
async fn runs_are_cancelled_by_id() {
    for (scenario, cancelled) in [("cancel-id", 1), ("cancel-legacy-ids", 1), ("cancel-ids", 2)] {
        let api = TestApi::start().await;
        for id in ["wfr_1", "wfr_2", "wfr_3"] {
            api.trigger(id).await;
        }
        assert_eq!(answers(&api, scenario).await, json!({ "cancelled": cancelled }), "{scenario}");
        assert_eq!(active_runs(&api).await, 3 - cancelled, "{scenario}");
    }
}

#[tokio::test]
async fn runs_are_cancelled_by_url() {
    for (scenario, cancelled) in [
        ("cancel-url-exact", 1),
        ("cancel-url-prefix", 3),
        ("cancel-url-prefix-legacy", 3),
        ("cancel-all", 4),
    ] {
        let api = TestApi::start().await;
        for url in
            ["http://app.test/wf", "http://app.test/wf2", "http://app.test/other", "http://127.0.0.1:9/wf"]
        {
            let answer =
                api.send("POST", &format!("/v2/trigger/{url}"), &[("upstash-delay", "1d")], "").await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        assert_eq!(answers(&api, scenario).await, json!({ "cancelled": cancelled }), "{scenario}");
        assert_eq!(active_runs(&api).await, 4 - cancelled, "{scenario}");
    }
}

#[tokio::test]
async fn a_bulk_cancellation_takes_no_more_than_its_count() {
    let api = TestApi::start().await;
    for run in 0..25 {
        api.trigger(&format!("wfr_{run}")).await;
    }
    let cancel = async |count: &str| {
        api.send("DELETE", &format!("/v2/workflows/runs?count={count}"), &[], "").await.json()
    };
    assert_eq!(cancel("0").await, json!({ "cancelled": 0 }));
    assert_eq!(cancel("23").await, json!({ "cancelled": 23 }));
    assert_eq!(cancel("23").await, json!({ "cancelled": 2 }));
}

#[tokio::test]
async fn ids_to_cancel_may_be_in_the_body() {
    let api = TestApi::start().await;
    for id in ["wfr_1", "wfr_2", "wfr_3"] {
        api.trigger(id).await;
    }
    let cancel = async |body: Value| {
        api.send("DELETE", "/v2/workflows/runs", &[("content-type", "application/json")], body.to_string())
            .await
            .json()
    };
    assert_eq!(cancel(json!({ "workflowRunIds": [] })).await, json!({ "cancelled": 0 }));
    assert_eq!(cancel(json!({ "workflowRunIds": ["wfr_1", "wfr_gone"] })).await, json!({ "cancelled": 1 }));
    assert_eq!(cancel(json!({ "workflowUrl": ELSEWHERE })).await, json!({ "cancelled": 2 }));
}

#[tokio::test]
async fn runs_are_listed() {
    let api = TestApi::start().await;
    assert_eq!(answers(&api, "logs").await, json!({ "cursor": "", "runs": [] }));
    assert_eq!(answers(&api, "logs-legacy").await["runs"], json!([]));
}

#[tokio::test]
async fn errors_have_the_recorded_status_and_shape() {
    let api = TestApi::start().await;
    answers(&api, "error-400").await;

    let mut vector = Vector::load("error-401");
    let headers = &mut vector.exchanges[0].request.headers;
    headers.insert("authorization".to_owned(), "Bearer another".to_owned());
    let answer = replay(&api, &vector).await;
    assert_eq!(answer.status, vector.exchanges[0].response.status);
    fits(&vector.exchanges[0].response.json(), &answer.json(), "error-401");
}

#[tokio::test]
async fn signing_keys_are_shown_and_exchanged() {
    let api = TestApi::start().await;
    let keys = api.engine.keys();
    for (scenario, current) in [("signing-key-get", &keys.current), ("signing-key-rotate", &keys.next)] {
        let vector = Vector::load_python(scenario);
        let answer = replay(&api, &vector).await;
        assert_eq!(answer.status, 200, "{scenario}");
        fits(&vector.exchanges[0].response.json(), &answer.json(), scenario);
        assert_eq!(answer.json()["current"], **current, "{scenario}");
    }
}

/// An engine whose dead letter queue has three runs of the recorded workflow: nobody answers there, and no attempt is repeated.
async fn with_failed_runs() -> (TestApi, Vec<String>) {
    let api = TestApi::start().await;
    for number in 0..3 {
        let id = format!("wfr_{number}");
        let headers = [
            ("upstash-workflow-runid", id.as_str()),
            ("upstash-retries", "0"),
            ("upstash-label", "l"),
            ("content-type", "application/json"),
        ];
        let path = format!("/v2/trigger/{ELSEWHERE}");
        assert_eq!(api.send("POST", &path, &headers, r#"{"a":1}"#).await.status, 200);
    }
    // Telling it fails as well.
    let ids = eventually("three runs have failed, and it could not be told", async || {
        let path = "/v2/workflows/dlq?failureFunctionState=CALLBACK_FAIL";
        let page = api.send("GET", path, &[], "").await.json();
        let messages = page["messages"].as_array().unwrap();
        let ids = messages.iter().map(|message| message["dlqId"].as_str().unwrap().to_owned());
        (messages.len() == 3).then(|| ids.collect())
    })
    .await;
    (api, ids)
}

/// A recorded call with ids of our own.
fn about(scenario: &str, ids: &[String]) -> Vector {
    let mut vector = Vector::load(scenario);
    for (recorded, id) in ["d1", "d2"].into_iter().zip(ids) {
        let path = &mut vector.exchanges[0].request.path;
        *path = path
            .replace(recorded, id)
            .replace("http%3A%2F%2Fapp.test%2Fwf", "http%3A%2F%2F127.0.0.1%3A9%2Fwf");
    }
    vector
}

async fn failed_runs(api: &TestApi) -> Value {
    api.send("GET", "/v2/dlq?source=workflow", &[], "").await.json()["messages"].clone()
}

#[tokio::test]
async fn failed_runs_are_listed() {
    let (api, _) = with_failed_runs().await;
    let vector = Vector::load("dlq-list");
    let answer = replay(&api, &vector).await;
    assert_eq!(answer.status, 200);
    let mut body = answer.json();
    assert_eq!(body["cursor"], "");
    body["messages"].as_array_mut().unwrap().truncate(1);
    let mut recorded = vector.exchanges[0].response.json();
    // Names of headers have no capitals here, and nobody has answered.
    recorded["messages"][0]["header"] = json!({ "content-type": ["application/json"] });
    recorded["messages"][0]["responseHeader"] = json!({});
    fits(&recorded, &body, "dlq-list");
    let message = &body["messages"][0];
    assert_eq!(message["workflowRunId"], "wfr_2");
    assert_eq!((&message["body"], &message["responseStatus"]), (&json!(r#"{"a":1}"#), &json!(0)));
    assert_eq!(message["failureCallback"], ELSEWHERE);
    assert_eq!(message["failureCallbackInfo"]["state"], "CALLBACK_FAIL");

    let id = message["dlqId"].as_str().unwrap();
    let one = api.send("GET", &format!("/v2/workflows/dlq/{id}"), &[], "").await;
    assert_eq!((one.status.as_u16(), &one.json()), (200, message));
    assert_eq!(api.send("GET", "/v2/workflows/dlq/1-99", &[], "").await.status, 404);
    let page = api.send("GET", "/v2/workflows/dlq?count=2", &[], "").await.json();
    let cursor = page["cursor"].as_str().unwrap();
    let rest = api.send("GET", &format!("/v2/workflows/dlq?cursor={cursor}"), &[], "").await.json();
    assert_eq!(rest["messages"][0]["workflowRunId"], "wfr_0");
}

#[tokio::test]
async fn failed_runs_are_resumed_and_restarted() {
    for (scenario, runs) in [
        ("dlq-resume-id", 1),
        ("dlq-resume-legacy", 1),
        ("dlq-resume-ids-options", 2),
        ("dlq-resume-all", 3),
        ("dlq-restart-id", 1),
        ("dlq-restart-legacy", 1),
        ("dlq-restart-all", 3),
    ] {
        let (api, ids) = with_failed_runs().await;
        // Whatever comes of the new runs comes later.
        let mut vector = about(scenario, &ids);
        let headers = &mut vector.exchanges[0].request.headers;
        headers.insert("upstash-delay".to_owned(), "1d".to_owned());
        let answer = replay(&api, &vector).await;
        assert_eq!(answer.status, 200, "{scenario}: {answer:?}");
        let body = answer.json();
        let started = body["workflowRuns"].as_array().unwrap();
        assert_eq!(started.len(), runs, "{scenario}");
        let recorded = vector.exchanges[0].response.json();
        match recorded["workflowRuns"].get(0) {
            Some(run) => fits(run, &started[0], scenario),
            None => fits(&recorded["cursor"], &body["cursor"], scenario),
        }
        assert_eq!(failed_runs(&api).await.as_array().unwrap().len(), 3 - runs, "{scenario}");
        assert_eq!(active_runs(&api).await, runs, "{scenario}");
    }
}

#[tokio::test]
async fn failed_runs_are_resumed_and_restarted_by_a_filter() {
    for scenario in ["dlq-resume-filter", "dlq-restart-filter"] {
        let (api, ids) = with_failed_runs().await;
        let mut vector = about(scenario, &ids);
        let request = &mut vector.exchanges[0].request;
        request.headers.insert("upstash-delay".to_owned(), "1d".to_owned());
        assert_eq!(replay(&api, &vector).await.status, 400, "{scenario}: `c` is no cursor of this engine");
        let request = &mut vector.exchanges[0].request;
        request.path = request.path.replace("count=30&cursor=c", "count=2");
        let answer = replay(&api, &vector).await.json();
        assert_eq!(answer["workflowRuns"].as_array().unwrap().len(), 2, "{scenario}");
        fits(&vector.exchanges[0].response.json()["cursor"], &answer["cursor"], scenario);
        assert_eq!(failed_runs(&api).await.as_array().unwrap().len(), 1, "{scenario}");
    }
}

#[tokio::test]
async fn failed_runs_are_deleted() {
    for (scenario, deleted) in
        [("dlq-delete-id", 1), ("dlq-delete-ids", 2), ("dlq-delete-filter", 3), ("dlq-delete-all", 3)]
    {
        let (api, ids) = with_failed_runs().await;
        let vector = about(scenario, &ids);
        let answer = replay(&api, &vector).await;
        assert_eq!(answer.status, 200, "{scenario}: {answer:?}");
        assert_eq!(answer.json()["deleted"], deleted, "{scenario}");
        assert_eq!(failed_runs(&api).await.as_array().unwrap().len(), 3 - deleted, "{scenario}");
    }
}

#[tokio::test]
async fn one_failed_run_has_routes_of_its_own() {
    let (api, ids) = with_failed_runs().await;
    let later = [("upstash-delay", "1d")];
    for (id, verb) in ids.iter().zip(["resume", "restart"]) {
        let path = format!("/v2/workflows/dlq/{verb}/{id}");
        let answer = api.send("POST", &path, &later, "").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.json()["workflowRunId"].as_str().unwrap().starts_with("wfr_"));
        assert!(answer.json()["workflowCreatedAt"].is_number());
        assert_eq!(api.send("POST", &path, &later, "").await.status, 404, "it is gone");
    }
    let path = format!("/v2/workflows/dlq/{}", ids[2]);
    assert_eq!(api.send("DELETE", &path, &[], "").await.status, 200);
    assert_eq!(api.send("DELETE", &path, &[], "").await.status, 404);
    assert_eq!(failed_runs(&api).await, json!([]));
}

#[tokio::test]
async fn a_failure_function_is_retried() {
    let (api, ids) = with_failed_runs().await;
    let answer = replay(&api, &about("dlq-retry-failure-function", &ids)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["workflowRunId"], "wfr_2");
    let path = "/v2/workflows/dlq/callback/";
    let answer = api.send("DELETE", &format!("{path}{}", ids[1]), &[], "").await;
    assert_eq!(answer.status, 400, "it has failed already: {answer:?}");
    assert_eq!(api.send("DELETE", &format!("{path}1-99"), &[], "").await.status, 404);
    let answer = replay(&api, &Vector::load("error-404")).await;
    assert_eq!(answer.status, 404);
    assert!(answer.error().contains("dead letter queue"), "{answer:?}");
}

#[tokio::test]
async fn what_is_not_understood_of_the_dead_letter_queue_is_refused() {
    let (api, ids) = with_failed_runs().await;
    let id = &ids[0];
    for (method, path) in [
        ("GET", "/v2/dlq?source=messages".to_owned()),
        ("GET", "/v2/workflows/dlq?lable=l".to_owned()),
        ("GET", "/v2/workflows/dlq?failureFunctionState=DONE".to_owned()),
        ("GET", "/v2/workflows/dlq?workflowUrl=a&url=b".to_owned()),
        ("GET", format!("/v2/workflows/dlq/{id}?x=1")),
        ("POST", "/v2/workflows/dlq/resume?dlqIds=".to_owned()),
        ("POST", format!("/v2/workflows/dlq/restart?dlqIds={id}&label=l")),
        ("DELETE", format!("/v2/workflows/dlq?dlqIds={id}&count=1")),
        ("DELETE", "/v2/workflows/dlq?source=workflow".to_owned()),
    ] {
        let answer = api.send(method, &path, &[], "").await;
        assert_eq!(answer.status, 400, "{method} {path}: {answer:?}");
    }
    for (name, value) in [
        ("upstash-retries", "-1"),
        ("upstash-retry-delay", "soon"),
        ("upstash-delay", "soon"),
        ("upstash-flow-control-key", "k"),
        ("upstash-failure-callback", "nowhere"),
    ] {
        let answer = api.send("POST", &format!("/v2/workflows/dlq/resume/{id}"), &[(name, value)], "").await;
        assert_eq!(answer.status, 400, "{name}: {value}: {answer:?}");
    }
    assert_eq!(failed_runs(&api).await.as_array().unwrap().len(), 3);
}

/// A new recording must be replayed above, or be listed with the reason why not.
#[test]
fn no_recording_is_forgotten() {
    let source = include_str!("vectors_client.rs");
    for vector in all() {
        let sends_nothing = vector.exchanges.is_empty();
        let is_replayed = source.contains(&format!("\"{}\"", vector.scenario));
        let reason = NOT_REPLAYED.iter().find(|(prefix, _)| vector.scenario.starts_with(prefix));
        assert!(sends_nothing || is_replayed || reason.is_some(), "{} is not replayed", vector.scenario);
    }
}
