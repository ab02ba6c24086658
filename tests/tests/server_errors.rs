//! Bad input to every route of the HTTP API: a clear JSON error, the right status, and nothing half done.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use workflow_tests::{ELSEWHERE, TestApi};

const JSON: (&str, &str) = ("content-type", "application/json");
const RUN: (&str, &str) = ("upstash-workflow-runid", "wfr_1");

struct Bad {
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, &'static str)>,
    body: String,
    status: u16,
    says: &'static str,
}

fn bad(method: &'static str, path: impl Into<String>, status: u16, says: &'static str) -> Bad {
    Bad { method, path: path.into(), headers: Vec::new(), body: String::new(), status, says }
}

impl Bad {
    fn header(mut self, header: (&'static str, &'static str)) -> Self {
        self.headers.push(header);
        self
    }

    fn body(mut self, body: impl ToString) -> Self {
        self.body = body.to_string();
        self
    }
}

/// Sends every request, and looks whether it was refused as it should be and has changed nothing.
async fn refuses(all: Vec<Bad>) {
    let api = TestApi::with_a_waiting_run().await;
    let before = api.visible().await;
    for bad in all {
        let what = format!("{} {} {}", bad.method, bad.path.chars().take(90).collect::<String>(), bad.body);
        let what: String = what.chars().take(200).collect();
        let answer = api.send(bad.method, &bad.path, &bad.headers, bad.body).await;
        assert_eq!(answer.status, bad.status, "{what}: {answer:?}");
        let error = answer.error();
        assert!(error.contains(bad.says), "{what}: {error}");
        assert_eq!(api.visible().await, before, "{what} has changed something");
    }
}

fn too_long() -> String {
    "x".repeat(513)
}

fn step(step: &Value) -> String {
    json!([{
        "destination": "http://app.test/wf",
        "headers": { "upstash-workflow-runid": "wfr_1", "upstash-workflow-init": "false" },
        "body": step.to_string(),
    }])
    .to_string()
}

fn batch(headers: Value) -> String {
    json!([{ "destination": "http://app.test/wf", "headers": headers, "body": "{}" }]).to_string()
}

#[tokio::test]
async fn publish_refuses_bad_destinations_and_headers() {
    let publish = |path: &str| bad("POST", format!("/v2/publish/{path}"), 400, "URL of");
    refuses(vec![
        publish("not-a-url"),
        publish("ftp://app.test/wf"),
        publish("mailto:a@b"),
        publish(""),
        bad("POST", format!("/v2/publish/http://app.test/{}", "x".repeat(2048)), 400, "more than 2048 bytes"),
        bad("POST", "/v2/publish/http://app.test/wf", 400, "upstash-retries")
            .header(("upstash-retries", "many")),
        bad("POST", "/v2/publish/http://app.test/wf", 400, "upstash-retries")
            .header(("upstash-retries", "-1")),
        bad("POST", "/v2/publish/http://app.test/wf", 400, "not a duration")
            .header(("upstash-delay", "soon")),
        bad("POST", "/v2/publish/http://app.test/wf", 400, "upstash-not-before")
            .header(("upstash-not-before", "x")),
        bad("POST", "/v2/publish/http://app.test/wf", 400, "").header(("upstash-retry-delay", "pow(")),
        bad("POST", "/v2/publish/http://app.test/wf", 412, "not taken")
            .header(("upstash-workflow-calltype", "fromCallback"))
            .header(("upstash-workflow-runid", "wfr_1")),
        bad("POST", "/v2/publish/http://app.test/wf", 400, "upstash-callback-forward")
            .header(("upstash-workflow-calltype", "toCallback"))
            .header(("upstash-workflow-runid", "wfr_1")),
        bad("POST", "/v2/publish//path", 400, "invoke")
            .header(("upstash-workflow-calltype", "toCallback"))
            .header(("upstash-workflow-runid", "wfr_1")),
        bad("POST", "/v2/publish/http://app.test/wf", 400, "which step of which run")
            .header(("upstash-workflow-invoke", "true")),
        bad("POST", "/v2/publish/http://app.test/wf", 412, "schedules").header(("upstash-cron", "* * * * *")),
        bad("POST", "/v2/publish/http://app.test/wf", 400, "not a step")
            .header(RUN)
            .header(("upstash-workflow-init", "false"))
            .body("no step"),
    ])
    .await;
}

#[tokio::test]
async fn batch_is_all_or_nothing() {
    let good = json!({ "destination": "http://app.test/wf", "headers": { "upstash-workflow-init": "true" } });
    let entry = |entry: Value| json!([good, entry]).to_string();
    refuses(vec![
        bad("POST", "/v2/batch", 400, "not the JSON").header(JSON).body("[{"),
        bad("POST", "/v2/batch", 400, "not the JSON").header(JSON).body(""),
        bad("POST", "/v2/batch", 400, "not the JSON").header(JSON).body("{}"),
        bad("POST", "/v2/batch", 400, "not JSON").header(JSON).body("[] []"),
        bad("POST", "/v2/batch", 400, "[1]").header(JSON).body(entry(json!({ "headers": {} }))),
        bad("POST", "/v2/batch", 400, "[1].destination")
            .header(JSON)
            .body(entry(json!({ "destination": 1 }))),
        bad("POST", "/v2/batch", 400, "[1].headers")
            .header(JSON)
            .body(entry(json!({ "destination": "http://app.test/wf", "headers": { "upstash-retries": 3 } }))),
        bad("POST", "/v2/batch", 400, "[1].headers")
            .header(JSON)
            .body(entry(json!({ "destination": "http://app.test/wf", "headers": { "a": 1 } }))),
        bad("POST", "/v2/batch", 400, "queue")
            .header(JSON)
            .body(entry(json!({ "destination": "http://app.test/wf", "queue": "q" }))),
        bad("POST", "/v2/batch", 400, "not-a-url")
            .header(JSON)
            .body(entry(json!({ "destination": "not-a-url" }))),
        bad("POST", "/v2/batch", 400, "wfr_gone").header(JSON).body(entry(json!({
            "destination": "http://app.test/wf",
            "headers": { "upstash-workflow-runid": "wfr_gone", "upstash-workflow-init": "false" },
            "body": r#"{"stepId":1,"stepName":"a","stepType":"Run","concurrent":1}"#,
        }))),
        bad("POST", "/v2/batch?x=1", 400, "`x`").header(JSON).body("[]"),
    ])
    .await;
}

#[tokio::test]
async fn steps_must_make_sense() {
    let good = json!({ "stepId": 1, "stepName": "a", "stepType": "Run", "concurrent": 1 });
    let with = |name: &str, value: Value| {
        let mut changed = good.clone();
        changed[name] = value;
        step(&changed)
    };
    let batch = |says| bad("POST", "/v2/batch", 400, says).header(JSON);
    refuses(vec![
        batch("not a step").body(step(&json!("text"))),
        batch("not a step").body(step(&json!({ "stepId": 1 }))),
        batch("not a step").body(with("stepId", json!("1"))),
        batch("not a step").body(with("stepId", json!(-1))),
        batch("not a step").body(with("stepType", json!("Jump"))),
        batch("not a step").body(with("out", json!({ "not": "text" }))),
        batch("stepId").body(with("stepId", json!(0))),
        bad("POST", "/v2/batch", 412, "engine alone").header(JSON).body(with("stepType", json!("Invoke"))),
    ])
    .await;
}

#[tokio::test]
async fn triggers_refuse_bad_ids_urls_and_options() {
    let long = too_long();
    let trigger = |says| bad("POST", "/v2/batch/trigger", 400, says).header(JSON);
    refuses(vec![
        bad("POST", "/v2/trigger/not-a-url", 400, "not-a-url"),
        bad("POST", "/v2/trigger/", 400, "URL of the workflow"),
        bad("POST", "/v2/trigger/http://app.test/wf", 400, "upstash-retries")
            .header(("upstash-retries", "x")),
        bad("POST", "/v2/trigger/http://app.test/wf", 400, "not a duration").header(("upstash-delay", "-1s")),
        trigger("513 bytes")
            .body(batch(json!({ "upstash-workflow-runid": format!("wfr_{}", &long[..509]) }))),
        trigger("control characters").body(batch(json!({ "upstash-workflow-runid": "a\u{7}b" }))),
        trigger("label").body(batch(json!({ "upstash-label": long }))),
        trigger("retry").body(batch(json!({ "upstash-retry-delay": "launch(1)" }))),
        trigger("not the JSON").body("nothing"),
    ])
    .await;
}

#[tokio::test]
async fn waits_refuse_bad_runs_ids_and_bodies() {
    let body = |step: Value| json!({ "timeout": "10s", "step": step });
    let good = body(json!({ "stepId": 2, "stepName": "w", "stepType": "Wait", "concurrent": 1 }));
    let with = |name: &str, value: Value| {
        let mut changed = good.clone();
        changed[name] = value;
        changed
    };
    let wait = |status, says| bad("POST", "/v2/wait/evt", status, says).header(JSON);
    refuses(vec![
        wait(400, "Upstash-Workflow-RunId").body(&good),
        wait(400, "wfr_gone").header(("upstash-workflow-runid", "wfr_gone")).body(&good),
        wait(400, "not the JSON").header(RUN).body("{"),
        wait(400, "step").header(RUN).body(json!({ "timeout": "1s" })),
        wait(400, "timeout").header(RUN).body(with("timeout", json!(10))),
        wait(400, "not a duration").header(RUN).body(with("timeout", json!("soon"))),
        wait(400, "timeoutHeaders").header(RUN).body(with("timeoutHeaders", json!({ "a": "b" }))),
        wait(400, "step").header(RUN).body(body(json!({ "stepId": 2, "stepName": "w" }))),
        wait(400, "stepId")
            .header(RUN)
            .body(body(json!({ "stepId": 0, "stepName": "w", "stepType": "Wait" }))),
        bad("POST", format!("/v2/wait/{}", too_long()), 400, "513 bytes").header(RUN).body(&good),
        bad("POST", "/v2/wait/", 400, "event id").header(RUN).body(&good),
        bad("POST", "/v2/wait/%00", 400, "control characters").header(RUN).body(&good),
        bad("POST", "/v2/wait/%ff%fe", 400, "not UTF-8").header(RUN).body(&good),
        bad("POST", "/v2/wait/50%", 400, "%25").header(RUN).body(&good),
        bad("POST", "/v2/wait/evt?x=1", 400, "`x`").header(RUN).body(&good),
    ])
    .await;
}

#[tokio::test]
async fn notifications_refuse_bad_ids_and_unknown_runs() {
    refuses(vec![
        bad("POST", format!("/v2/notify/{}", too_long()), 400, "513 bytes").body("1"),
        bad("POST", "/v2/notify/", 400, "event id").body("1"),
        bad("POST", "/v2/notify/a%zzb", 400, "hexadecimal").body("1"),
        bad("POST", "/v2/notify/%c3", 400, "not UTF-8").body("1"),
        bad("POST", "/v2/notify/wfr_gone/evt", 404, "wfr_gone").body("1"),
        bad("POST", "/v2/notify/wfr_1/", 400, "event id").body("1"),
        bad("POST", format!("/v2/notify/wfr_1/{}", too_long()), 400, "513 bytes").body("1"),
        bad("POST", format!("/v2/notify/wfr_{}/evt", &too_long()[5..]), 404, "there is no run").body("1"),
        bad("POST", format!("/v2/notify/wfr_{}/evt", too_long()), 400, "517 bytes").body("1"),
        bad("POST", "/v2/notify/evt?run=wfr_1", 400, "`run`").body("1"),
        bad("GET", format!("/v2/waiters/{}", too_long()), 400, "513 bytes"),
        bad("GET", "/v2/waiters/", 400, "event id"),
        bad("GET", "/v2/waiters/%e9", 400, "not UTF-8"),
    ])
    .await;
}

#[tokio::test]
async fn runs_refuse_misspelt_filters_and_unknown_ids() {
    let cancel = |query: &str, says| bad("DELETE", format!("/v2/workflows/runs{query}"), 400, says);
    refuses(vec![
        cancel("?lable=x", "`lable`"),
        cancel("?workflowRunIds=", "workflowRunIds"),
        cancel("?workflowRunIds=wfr_1,", "workflowRunIds"),
        cancel("?fromDate=yesterday", "fromDate"),
        cancel("?count=-1", "count"),
        cancel("?count=1&count=2", "count"),
        cancel("?workflowUrl=", "workflowUrl"),
        cancel("?messageId=msg_1", "`messageId`"),
        cancel("?workflowRuns=wfr_1@1", "`workflowRuns`"),
        cancel("?workflowUrl=http://a&workflowUrlExactMatch=maybe", "workflowUrlExactMatch"),
        cancel("?label=%ff", "UTF-8"),
        cancel("", "not the JSON").body("[]"),
        cancel("", "runIds").body(json!({ "runIds": ["wfr_1"] })),
        cancel("", "workflowRunIds").body(json!({ "workflowRunIds": "wfr_1" })),
        bad("DELETE", "/v2/workflows/runs/wfr_gone", 404, "wfr_gone"),
        bad("DELETE", "/v2/workflows/runs/wfr_gone?cancel=false", 404, "wfr_gone"),
        bad("DELETE", "/v2/workflows/runs/wfr_1?cancel=perhaps", 400, "cancel"),
        bad("DELETE", "/v2/workflows/runs/wfr_1?force=true", 400, "`force`"),
        bad("DELETE", "/v2/workflows/runs/%ff", 400, "UTF-8"),
        bad("GET", "/v2/workflows/runs/wfr_gone", 404, "wfr_gone"),
        bad("GET", "/v2/workflows/runs/", 400, "run id"),
        bad("GET", format!("/v2/workflows/runs/{}", too_long()), 400, "513 bytes"),
        bad("DELETE", format!("/v2/workflows/runs/{}", too_long()), 400, "513 bytes"),
    ])
    .await;
}

#[tokio::test]
async fn listings_refuse_what_they_do_not_understand() {
    let logs = |query: &str, says| bad("GET", format!("/v2/workflows/logs{query}"), 400, says);
    refuses(vec![
        logs("?state=DONE", "`DONE` is no state"),
        logs("?count=ten", "count"),
        logs("?fromDate=1.5", "fromDate"),
        logs("?callerAddress=1.2.3.4", "`callerAddress`"),
        logs("?workflowRuns=wfr_1", "names no run"),
        logs("?workflowRuns=wfr_1@today", "names no run"),
        logs("?host=", "host"),
        logs("?groupBy=label", "groupBy"),
        logs("?cursor=nonsense", "cursor"),
        bad("GET", "/v2/workflows/events", 400, "groupBy=workflowRunId"),
        bad("GET", "/v2/workflows/events?groupBy=x", 400, "groupBy=workflowRunId"),
    ])
    .await;
}

#[tokio::test]
async fn flow_control_refuses_bad_keys_limits_and_actions() {
    let change = |path: &str, status, says| bad("POST", format!("/v2/flowControl/{path}"), status, says);
    refuses(vec![
        change("a%2Fb/pause", 400, "a/b"),
        change("/pause", 400, "flow-control key"),
        change("%ff/pause", 400, "UTF-8"),
        change("k/stop", 404, "`stop`"),
        change("k/pause?now=true", 400, "`now`"),
        change("k/pin", 400, "limits nothing"),
        change("k/pin?parallelism=many", 400, "parallelism"),
        change("k/pin?parallelism=0", 400, "limit of 0"),
        change("k/pin?rate=1&period=604801", 400, "period"),
        change("k/pin?parallelism=1&period=60", 400, "rate"),
        change("k/unpin", 400, "parallelism=true"),
        change("k/unpin?parallelism=false", 400, "parallelism=true"),
        change("k/unpin?rate=yes", 400, "rate"),
        bad("GET", "/v2/flowControl?key=k", 400, "`key`"),
        bad("GET", "/v2/flowControl/k?all=true", 400, "`all`"),
        bad("GET", "/v2/globalParallelism?x=1", 400, "`x`"),
        bad("POST", "/v2/trigger/http://app.test/wf", 400, "limits nothing")
            .header(("upstash-flow-control-key", "k")),
        bad("POST", "/v2/trigger/http://app.test/wf", 400, "not understood")
            .header(("upstash-flow-control-key", "k"))
            .header(("upstash-flow-control-value", "speed=3")),
        bad("POST", "/v2/batch/trigger", 400, "a/b").header(JSON).body(batch(
            json!({ "upstash-flow-control-key": "a/b", "upstash-flow-control-value": "rate=1" }),
        )),
    ])
    .await;
}

#[tokio::test]
async fn unknown_routes_and_wrong_methods_are_told_apart() {
    refuses(vec![
        bad("GET", "/v2/nothing", 404, "GET /v2/nothing"),
        bad("POST", "/v2/workflows", 404, "POST /v2/workflows"),
        bad("POST", "/v2/batch/other", 404, "no route"),
        bad("GET", "/v2/keys/other", 404, "no route"),
        bad("GET", "/v2/publish/http://app.test/wf", 405, "POST"),
        bad("GET", "/v2/trigger/http://app.test/wf", 405, "POST"),
        bad("PUT", "/v2/batch", 405, "POST"),
        bad("GET", "/v2/batch/trigger", 405, "POST"),
        bad("GET", "/v2/wait/evt", 405, "POST"),
        bad("DELETE", "/v2/notify/evt", 405, "POST"),
        bad("POST", "/v2/waiters/evt", 405, "GET"),
        bad("POST", "/v2/workflows/runs", 405, "DELETE"),
        bad("POST", "/v2/workflows/runs/wfr_1", 405, "GET, DELETE"),
        bad("POST", "/v2/workflows/events", 405, "GET"),
        bad("POST", "/v2/workflows/logs", 405, "GET"),
        bad("POST", "/v2/keys", 405, "GET"),
        bad("POST", "/v2/flowControl", 405, "GET"),
        bad("DELETE", "/v2/flowControl/k", 405, "GET"),
        bad("GET", "/v2/flowControl/k/pause", 405, "POST"),
        bad("POST", "/v2/globalParallelism", 405, "GET"),
        bad("GET", "/v2/keys/rotate", 405, "POST"),
    ])
    .await;
}

#[tokio::test]
async fn a_wrong_method_is_answered_with_the_right_one() {
    let api = TestApi::with_a_waiting_run().await;
    let answer = api.send("PATCH", "/v2/workflows/runs/wfr_1", &[], "").await;
    assert_eq!(answer.headers["allow"], "GET, DELETE");
}

#[tokio::test]
async fn ids_may_hold_every_character() {
    let api = TestApi::start().await;
    let odd = "a/b?c#d%e é\u{1f980}&=+,;: \"'<>";
    let encoded: String = odd.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let entry = json!([{
        "destination": ELSEWHERE,
        "headers": { "upstash-workflow-runid": format!("wfr_{odd}"), "upstash-delay": "1d" },
        "body": "{}",
    }]);
    let run = api.send("POST", "/v2/batch/trigger", &[JSON], entry.to_string()).await;
    assert_eq!(run.json()[0]["workflowRunId"], format!("wfr_{odd}"));
    assert_eq!(api.send("GET", &format!("/v2/workflows/runs/wfr_{encoded}"), &[], "").await.status, 200);

    let run_id = format!("wfr_{odd}");
    api.wait(&run_id, &encoded).await;
    let waiters = api.send("GET", &format!("/v2/waiters/{encoded}"), &[], "").await.json();
    assert_eq!(waiters[0]["headers"]["Upstash-Workflow-Runid"][0], run_id);

    let path = format!("/v2/notify/wfr_{encoded}/{encoded}");
    let notified = api.send("POST", &path, &[], "1").await.json();
    assert_eq!(notified["workflowRunId"], run_id);
    assert!(notified["waiter"].is_object(), "{notified}");

    let cancelled =
        api.send("DELETE", &format!("/v2/workflows/runs?workflowRunIds=wfr_{encoded}"), &[], "").await;
    assert_eq!(cancelled.json(), json!({ "cancelled": 1 }));
}
