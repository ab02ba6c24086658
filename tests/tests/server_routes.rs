//! What the routes of the HTTP API answer when all is well.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use workflow::client::http_client_builder;
use workflow_tests::{Served, TOKEN, TestApi};

const JSON: (&str, &str) = ("content-type", "application/json");

/// A message that brings a step of a run.
fn step(run: &str, step: &Value) -> Value {
    json!({
        "destination": "http://app.test/wf",
        "headers": { "Upstash-Workflow-RunId": run, "Upstash-Workflow-Init": "false" },
        "body": step.to_string(),
        "queue": null,
    })
}

async fn run(api: &TestApi, id: &str) -> Value {
    let logs = api.send("GET", &format!("/v2/workflows/logs?workflowRunId={id}"), &[], "").await.json();
    logs["runs"][0].clone()
}

#[tokio::test]
async fn publish_starts_a_run_once() {
    let api = TestApi::start().await;
    let headers = [
        ("Upstash-Workflow-Init", "true"),
        ("Upstash-Workflow-RunId", "wfr_1"),
        ("Upstash-Label", "a,b"),
        ("content-type", "text/plain"),
    ];
    let first = api.send("POST", "/v2/publish/http://app.test/wf?x=1", &headers, "payload").await;
    assert_eq!(first.status, 200);
    let id = first.json()["messageId"].as_str().unwrap().to_owned();
    assert_eq!(first.json(), json!({ "messageId": id }));

    let again = api.send("POST", "/v2/publish/http://app.test/other", &headers, "other").await;
    assert_eq!(again.status, 202);
    assert_eq!(again.json()["deduplicated"], true);

    let run = run(&api, "wfr_1").await;
    assert_eq!(run["workflowUrl"], "http://app.test/wf?x=1");
    assert_eq!(run["labels"], json!(["a", "b"]));
    assert_eq!(run["steps"][0]["steps"][0]["out"], "payload");
}

#[tokio::test]
async fn trigger_names_the_run() {
    let api = TestApi::start().await;
    let answer =
        api.send("POST", "/v2/trigger/http://app.test/wf", &[("Upstash-Workflow-RunId", "mine")], "{}").await;
    assert_eq!(answer.status, 200);
    let answer = answer.json();
    assert_eq!(answer["workflowRunId"], "wfr_mine");
    assert!(answer["workflowCreatedAt"].as_i64() > Some(1_600_000_000_000), "{answer}");
    assert_eq!(run(&api, "wfr_mine").await["workflowRunCreatedAt"], answer["workflowCreatedAt"]);

    let made = api.send("POST", "/v2/trigger/http://app.test/wf", &[], "").await.json();
    assert!(made["workflowRunId"].as_str().unwrap().starts_with("wfr_"), "{made}");
}

#[tokio::test]
async fn batch_trigger_names_the_runs_in_order() {
    let api = TestApi::start().await;
    let entry = |id: &str| json!({ "destination": "http://app.test/wf", "headers": { "Upstash-Workflow-RunId": id }, "body": id });
    let batch = json!([entry("wfr_b"), entry("wfr_a"), entry("wfr_b")]).to_string();
    let answer = api.send("POST", "/v2/batch/trigger", &[JSON], batch).await;
    assert_eq!(answer.status, 201);
    let answer = answer.json();
    let named: Vec<_> =
        answer.as_array().unwrap().iter().map(|run| run["workflowRunId"].as_str().unwrap()).collect();
    assert_eq!(named, ["wfr_b", "wfr_a", "wfr_b"]);
    assert_eq!(answer[2]["deduplicated"], true);
    assert!(answer[0].get("deduplicated").is_none(), "{answer}");
}

#[tokio::test]
async fn the_history_of_a_run_is_its_payload_and_its_steps() {
    let api = TestApi::start().await;
    api.trigger("wfr_1").await;
    let result = json!({ "stepId": 1, "stepName": "é", "stepType": "Run", "out": "\"x\"", "concurrent": 1 });
    let batch = json!([step("wfr_1", &result)]).to_string();
    let answer = api.send("POST", "/v2/batch", &[JSON], batch.clone()).await.json();
    let message = answer[0]["messageId"].clone();

    let again = api.send("POST", "/v2/batch", &[JSON], batch).await.json();
    assert_eq!(again, json!([{ "messageId": message, "deduplicated": true }]));

    let history = api.send("GET", "/v2/workflows/runs/wfr_1", &[], "").await.json();
    assert_eq!(history.as_array().unwrap().len(), 2);
    assert_eq!(history[0]["body"], "e30=", "base64 of the payload");
    assert_eq!(history[1]["messageId"], message);
    assert_eq!(history[1]["callType"], "step");
}

#[tokio::test]
async fn an_endpoint_ends_its_run() {
    let api = TestApi::start().await;
    api.trigger("wfr_1").await;
    let output = r#"{"result":1}"#;
    let answer = api.send("DELETE", "/v2/workflows/runs/wfr_1?cancel=false", &[], output).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let ended = run(&api, "wfr_1").await;
    assert_eq!(ended["workflowState"], "RUN_SUCCESS");
    assert_eq!(ended["workflowRunResponse"], output);
    assert!(ended["workflowRunCompletedAt"].as_i64() >= ended["workflowRunCreatedAt"].as_i64());

    let again = api.send("DELETE", "/v2/workflows/runs/wfr_1?cancel=false", &[], "2").await;
    assert_eq!(again.status, 200, "the answer to the first may have been lost");
    assert_eq!(run(&api, "wfr_1").await, ended);
    for path in ["/v2/workflows/runs/wfr_1", "/v2/workflows/runs/wfr_1?cancel=true"] {
        let answer = api.send("DELETE", path, &[], "").await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.error().contains("wfr_1"));
    }
    assert_eq!(api.send("GET", "/v2/workflows/runs/wfr_1", &[], "").await.status, 404);
    let late =
        json!([step("wfr_1", &json!({ "stepId": 1, "stepName": "a", "stepType": "Run" }))]).to_string();
    assert_eq!(api.send("POST", "/v2/batch", &[JSON], late).await.status, 400);
    assert_eq!(api.send("POST", "/v2/notify/wfr_1/evt", &[], "1").await.status, 404);
}

#[tokio::test]
async fn a_run_is_cancelled_by_its_path() {
    let api = TestApi::start().await;
    for (id, query) in [("wfr_1", ""), ("wfr_2", "?cancel=true")] {
        api.trigger(id).await;
        assert_eq!(api.send("DELETE", &format!("/v2/workflows/runs/{id}{query}"), &[], "").await.status, 200);
        assert_eq!(run(&api, id).await["workflowState"], "RUN_CANCELED");
    }
}

#[tokio::test]
async fn keys_are_exchanged() {
    let api = TestApi::start().await;
    let before = api.send("GET", "/v2/keys", &[], "").await.json();
    let rotated = api.send("POST", "/v2/keys/rotate", &[], "").await;
    assert_eq!(rotated.status, 200);
    let rotated = rotated.json();
    assert_eq!(rotated["current"], before["next"]);
    assert_ne!(rotated["next"], before["next"]);
    assert_eq!(api.send("GET", "/v2/keys", &[], "").await.json(), rotated);
}

#[tokio::test]
async fn a_waiter_is_shown_without_the_credentials_of_its_request() {
    let api = TestApi::start().await;
    api.trigger("wfr_1").await;
    let secret = "Bearer secret";
    let headers = [
        ("Upstash-Workflow-RunId", "wfr_1"),
        ("Upstash-Forward-Authorization", secret),
        ("Upstash-Failure-Callback-Forward-Cookie", secret),
        ("Upstash-Forward-Upstash-Workflow-Sdk-Version", "1"),
        ("Cookie", secret),
    ];
    let body = json!({
        "timeout": "1h",
        "timeoutHeaders": { "Upstash-Forward-Authorization": [secret], "Upstash-Workflow-Runid": ["wfr_1"] },
        "step": { "stepId": 1, "stepName": "w", "stepType": "Wait", "concurrent": 1 },
    });
    assert_eq!(api.send("POST", "/v2/wait/evt", &headers, body.to_string()).await.status, 200);
    for answer in [
        api.send("GET", "/v2/waiters/evt", &[], "").await,
        api.send("POST", "/v2/notify/evt", &[], "1").await,
    ] {
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(text.contains("wfr_1"), "{text}");
        assert!(!text.contains("secret") && !text.contains(TOKEN), "{text}");
        assert!(text.contains("upstash-forward-upstash-workflow-sdk-version"), "{text}");
    }
}

#[tokio::test]
async fn an_app_keeps_its_own_routes_and_its_own_fallback() {
    let engine = workflow_engine::Engine::in_memory().unwrap();
    let app = axum::Router::new()
        .route("/", axum::routing::get(async || "home"))
        .route("/v2", axum::routing::get(async || "the second version of the app's own API"))
        .fallback(async || (http::StatusCode::IM_A_TEAPOT, "the app's own"))
        .merge(workflow_server::api(engine, TOKEN));
    let served = Served::start(app).await;
    let client = http_client_builder().unwrap().build().unwrap();
    for (path, status) in
        [("/", 200), ("/v2", 200), ("/v1/other", 418), ("/v2/keys", 401), ("/v2/other", 401)]
    {
        let answer = client.get(format!("{}{path}", served.url())).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
    }
}

#[tokio::test]
async fn a_redacted_payload_is_recognised_but_not_shown() {
    let api = TestApi::start().await;
    for (id, redact) in [("wfr_1", "body,header[Authorization]"), ("wfr_2", "body"), ("wfr_3", "header")] {
        let headers = [("Upstash-Workflow-RunId", id), ("Upstash-Redact-Fields", redact)];
        assert_eq!(api.send("POST", "/v2/trigger/http://app.test/wf", &headers, "secret").await.status, 200);
    }
    let payload = async |id| run(&api, id).await["steps"][0]["steps"][0]["out"].as_str().unwrap().to_owned();
    let digest = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
    assert_eq!(payload("wfr_1").await, format!("REDACTED:{digest}"));
    assert_eq!(payload("wfr_2").await, format!("REDACTED:{digest}"));
    assert_eq!(payload("wfr_3").await, "secret");
    // What the workflow gets is the payload itself.
    let history = api.send("GET", "/v2/workflows/runs/wfr_1", &[], "").await.json();
    assert_eq!(history[0]["body"], "c2VjcmV0");
}

#[tokio::test]
async fn headers_are_shown_as_far_as_the_trigger_lets_them() {
    let api = TestApi::start().await;
    let headers = async |redact: &str| {
        let headers = [
            ("Upstash-Workflow-RunId", "wfr_1"),
            ("Upstash-Redact-Fields", redact),
            ("Upstash-Forward-X-User", "u"),
            ("Upstash-Forward-X-Plan", "p"),
            ("Upstash-Forward-Authorization", "Bearer t"),
        ];
        assert_eq!(api.send("POST", "/v2/trigger/http://app.test/wf", &headers, "").await.status, 200);
        let shown = run(&api, "wfr_1").await["steps"][0]["steps"][0]["headers"].clone();
        api.send("DELETE", "/v2/workflows/runs/wfr_1", &[], "").await;
        let value = |name: &str| shown[name][0].as_str().unwrap().to_owned();
        assert_eq!(shown.as_object().unwrap().len(), 3, "{shown}");
        (value("X-User"), value("X-Plan"), value("Authorization"))
    };
    let token = "REDACTED:63a25a26464c310e30f3e4f90b7f2153a2aac6e236fd9d9e8782bd4139df0c26".to_owned();
    let user = "REDACTED:0bfe935e70c321c7ca3afc75ce0d0ca2f98b5422e008bb31c00c6d7f1f1c0ad6".to_owned();
    let plan = "REDACTED:148de9c5a7a44d19e56cd9ae1a554bf67847afb0c58f6e12fa29ac7ddfca9940".to_owned();
    let clear = |text: &str| text.to_owned();
    assert_eq!(headers("body").await, (clear("u"), clear("p"), token.clone()), "credentials never are");
    assert_eq!(headers("header[x-user]").await, (user.clone(), clear("p"), token.clone()));
    assert_eq!(headers("body,headers").await, (user, plan, token));
}

#[tokio::test]
async fn a_run_is_listed_with_its_caller_and_its_limits() {
    let api = TestApi::start().await;
    let headers = [
        ("Upstash-Workflow-RunId", "wfr_1"),
        ("Upstash-Flow-Control-Key", "k"),
        ("Upstash-Flow-Control-Value", "parallelism=3, rate=10, period=1m"),
    ];
    assert_eq!(api.send("POST", "/v2/trigger/http://app.test/wf", &headers, "").await.status, 200);
    let run = run(&api, "wfr_1").await;
    assert_eq!(run["flowControlKey"], "k");
    assert_eq!(run["workflowRunCallerIp"], "127.0.0.1");
}

#[tokio::test]
async fn runs_are_listed_and_cancelled_by_all_that_is_known_of_them() {
    let api = TestApi::start().await;
    let trigger = async |id: &str, url: &str, more: &[(&str, &str)]| {
        let headers: Vec<_> =
            [("upstash-workflow-runid", id), ("upstash-delay", "1d")].iter().chain(more).copied().collect();
        let answer = api.send("POST", &format!("/v2/trigger/{url}"), &headers, "").await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["workflowCreatedAt"].as_i64().unwrap()
    };
    let limits = [("upstash-flow-control-key", "k"), ("upstash-flow-control-value", "rate=1")];
    let created = trigger("wfr_1", "http://app.test/a,b?x=1", &limits).await;
    trigger("wfr_2", "http://127.0.0.1:9/a", &[("upstash-label", "l")]).await;
    trigger("wfr_3", "http://127.0.0.1:10/c", &[]).await;
    let message = api.send("GET", "/v2/workflows/runs/wfr_2", &[], "").await.json()[0]["messageId"]
        .as_str()
        .unwrap()
        .to_owned();

    for (query, expected) in [
        ("workflowUrl=http://127.0.0.1:9/a&workflowUrl=http://127.0.0.1:10/c", vec!["wfr_3", "wfr_2"]),
        ("workflowUrl=http://app.test/a%2Cb?x%3D1", vec!["wfr_1"]),
        ("workflowUrl=http://app.test/a,b?x%3D1", vec!["wfr_1"]),
        (
            "workflowUrl=http://127.0.0.1&workflowUrl=http://app&workflowUrlExactMatch=false",
            vec!["wfr_3", "wfr_2", "wfr_1"],
        ),
        ("host=127.0.0.1", vec!["wfr_3", "wfr_2"]),
        ("host=127.0.0.1:9,app.test", vec!["wfr_2", "wfr_1"]),
        ("host=127.0.0", vec![]),
        ("path=/a", vec!["wfr_2"]),
        ("path=/a,b&path=/c", vec!["wfr_3", "wfr_1"]),
        ("flowControlKey=k", vec!["wfr_1"]),
        ("flowControlKey=other&flowControlKey=k&label=l", vec![]),
        ("callerIp=127.0.0.1&label=l", vec!["wfr_2"]),
        ("callerIp=10.0.0.1", vec![]),
        (&format!("messageId={message}"), vec!["wfr_2"]),
        ("messageId=msg_999999&messageId=nonsense", vec![]),
        (&format!("workflowRuns=wfr_1@{created},wfr_2@1"), vec!["wfr_1"]),
    ] {
        let logs = api.send("GET", &format!("/v2/workflows/logs?{query}"), &[], "").await.json();
        let ids: Vec<_> = logs["runs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|run| run["workflowRunId"].as_str().unwrap())
            .collect();
        assert_eq!(ids, expected, "{query}");
    }

    let cancel = async |query: &str| {
        api.send("DELETE", &format!("/v2/workflows/runs?{query}"), &[], "").await.json()["cancelled"].clone()
    };
    assert_eq!(cancel("host=app.test&path=/a").await, 0);
    assert_eq!(cancel("flowControlKey=k&callerIp=127.0.0.1&host=app.test").await, 1);
    assert_eq!(cancel("path=/a&path=/c&callerIp=127.0.0.1").await, 2);
}

#[tokio::test]
async fn flow_control_is_looked_at_and_changed() {
    let api = TestApi::start().await;
    assert_eq!(api.send("GET", "/v2/flowControl", &[], "").await.json(), json!([]));
    let unused = json!({
        "flowControlKey": "k", "waitListSize": 0, "parallelismMax": 0, "parallelismCount": 0, "rateMax": 0,
        "rateCount": 0, "ratePeriod": 0, "ratePeriodStart": 0, "isPaused": false,
        "isPinnedParallelism": false, "isPinnedRate": false,
    });
    let get = async || api.send("GET", "/v2/flowControl/k", &[], "").await.json();
    assert_eq!(get().await, unused);
    let post = async |action: &str| {
        let answer = api.send("POST", &format!("/v2/flowControl/k/{action}"), &[], "").await;
        assert_eq!(answer.status, 200, "{answer:?}");
    };
    post("pause").await;
    post("pin?parallelism=2&rate=5&period=30").await;
    let mut pinned = unused.clone();
    for (name, value) in [
        ("parallelismMax", json!(2)),
        ("rateMax", json!(5)),
        ("ratePeriod", json!(30)),
        ("isPaused", json!(true)),
        ("isPinnedParallelism", json!(true)),
        ("isPinnedRate", json!(true)),
    ] {
        pinned[name] = value;
    }
    assert_eq!(get().await, pinned);
    assert_eq!(api.send("GET", "/v2/flowControl", &[], "").await.json(), json!([pinned]));
    post("resetRate").await;
    assert!(get().await["ratePeriodStart"].as_i64() > Some(1_600_000_000));
    post("resume").await;
    post("unpin?parallelism=true&rate=true").await;
    assert_eq!(get().await, unused);
    let global = api.send("GET", "/v2/globalParallelism", &[], "").await.json();
    assert_eq!(global["parallelismCount"], 0);
    assert!(global["parallelismMax"].as_u64() > Some(0), "{global}");
}

#[tokio::test]
async fn what_was_done_for_an_earlier_run_does_not_reach_a_newer_one_of_its_id() {
    let api = TestApi::start().await;
    api.trigger("wfr_1").await;
    let created = run(&api, "wfr_1").await["workflowRunCreatedAt"].as_i64().unwrap();
    let other = (created - 1).to_string();
    let submit = async |created: &str| {
        let message = json!([{
            "destination": "http://app.test/wf",
            "headers": {
                "Upstash-Workflow-RunId": "wfr_1",
                "Upstash-Workflow-Init": "false",
                "Upstash-Workflow-CreatedAt": created,
            },
            "body": json!({ "stepId": 1, "stepName": "a", "stepType": "Run", "out": "1" }).to_string(),
        }]);
        api.send("POST", "/v2/batch", &[JSON], message.to_string()).await.status
    };
    assert_eq!(submit(&other).await, 400);
    assert_eq!(submit(&created.to_string()).await, 200);
    assert_eq!(submit("yesterday").await, 400);

    let path = "/v2/workflows/runs/wfr_1?cancel=false";
    let end = async |created: &str| {
        api.send("DELETE", path, &[("Upstash-Workflow-CreatedAt", created)], "1").await.status
    };
    assert_eq!(end(&other).await, 404);
    assert_eq!(run(&api, "wfr_1").await["workflowState"], "RUN_STARTED");
    assert_eq!(end(&created.to_string()).await, 200);
    assert_eq!(run(&api, "wfr_1").await["workflowState"], "RUN_SUCCESS");
}
