//! The published TypeScript client against an axum app with an embedded engine and the HTTP API beside its own routes.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod typescript;

use std::time::Duration;

use axum::{
    Router,
    extract::State,
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use workflow::{
    WaitResult, WorkflowContext,
    client::{LogQuery, RunFilter, RunLog, RunState},
    workflow,
};
use workflow_axum::serve;
use workflow_engine::Engine;
use workflow_tests::{Probe, Served, TOKEN, eventually};

use self::typescript::TypeScriptClient;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    order_id: String,
}

/// Waits for `order-{id}`, after a step that the test holds.
#[workflow]
async fn wait_for_order(ctx: WorkflowContext<Order>, State(probe): State<Probe>) -> workflow::Result<Value> {
    let order = &ctx.request_payload().order_id;
    let user = ctx
        .run("prepare", async || {
            probe.hold(order).await;
            let user = ctx.headers().get("x-user").and_then(|value| value.to_str().ok());
            Ok(user.map(str::to_owned))
        })
        .await?;
    let event = ctx
        .wait_for_event::<Value>("wait for order", format!("order-{order}"), Duration::from_secs(3600))
        .await?;
    let event = match event {
        WaitResult::Received(data) => data,
        WaitResult::TimedOut => json!("timed out"),
    };
    Ok(json!({ "user": user, "event": event }))
}

struct App {
    engine: Engine,
    probe: Probe,
    client: TypeScriptClient,
    served: Served,
}

impl App {
    async fn start() -> Self {
        let listening = Served::listen().await;
        let engine = Engine::builder().base_url(listening.url()).in_memory().unwrap();
        let probe = Probe::default();
        let routes = Router::new()
            .route("/api/order", post(serve::<wait_for_order>()))
            .route("/", get(async || "an ordinary route"))
            .with_state(probe.clone());
        let routes = workflow_axum::attach(routes, &engine.handle());
        let app = routes.merge(workflow_server::api(engine.clone(), TOKEN));
        let served = listening.serve(app);
        let client = TypeScriptClient::new(served.url(), TOKEN);
        Self { engine, probe, client, served }
    }

    fn url(&self) -> String {
        format!("{}/api/order", self.served.url())
    }

    /// Triggers a run for an order with the TypeScript client.
    async fn order(&self, order: &str) -> String {
        let trigger = json!({ "url": self.url(), "body": { "orderId": order } });
        let triggered = self.client.call("trigger", trigger).await;
        triggered["workflowRunId"].as_str().unwrap().to_owned()
    }

    async fn waiting(&self, event: &str, count: usize) -> Value {
        eventually(format!("{count} wait for `{event}`"), async || {
            let waiters = self.client.call("getWaiters", json!({ "eventId": event })).await;
            (waiters.as_array().map(Vec::len) == Some(count)).then_some(waiters)
        })
        .await
    }

    async fn ended(&self, run: &str) -> RunLog {
        eventually(format!("the run `{run}` ends"), async || {
            let filter = RunFilter { run_ids: vec![run.to_owned()], ..RunFilter::default() };
            let page = self.engine.logs(LogQuery { filter, cursor: None, count: None }).await.unwrap();
            let run = page.runs.into_iter().next().unwrap();
            (run.workflow_state != RunState::RunStarted).then_some(run)
        })
        .await
    }

    async fn output(&self, run: &str) -> Value {
        let log = self.ended(run).await;
        assert_eq!(log.workflow_state, RunState::RunSuccess, "{log:#?}");
        serde_json::from_str(log.workflow_run_response.as_deref().unwrap()).unwrap()
    }
}

#[tokio::test]
async fn trigger_takes_every_option() {
    if !typescript::is_available() {
        return;
    }
    let app = App::start().await;
    app.probe.open("1");
    let options = json!({
        "url": app.url(),
        "body": { "orderId": "1" },
        "workflowRunId": "my order",
        "headers": { "X-User": "ann" },
        "retries": 5,
        "retryDelay": "pow(2, retried) * 1000",
        "label": ["retail", "eu"],
        "flowControl": { "key": "orders", "parallelism": 10 },
    });
    let triggered = app.client.call("trigger", options.clone()).await;
    assert_eq!(triggered, json!({ "workflowRunId": "wfr_my order" }));
    app.waiting("order-1", 1).await;

    let again = app.client.call("trigger", options).await;
    assert_eq!(again, triggered, "an active id is deduplicated, which the client does not mind");
    app.client.call("notify", json!({ "eventId": "order-1", "eventData": 1 })).await;
    assert_eq!(app.output("wfr_my order").await, json!({ "user": "ann", "event": 1 }));

    let runs = app.client.call("logs", json!({ "filter": { "label": "eu" } })).await;
    assert_eq!(runs["runs"].as_array().map(Vec::len), Some(1), "{runs}");
    assert_eq!(runs["runs"][0]["labels"], json!(["retail", "eu"]));
    assert_eq!(runs["runs"][0]["steps"][0]["steps"][0]["retries"], 5);
}

#[tokio::test]
async fn trigger_takes_several_runs_at_once() {
    if !typescript::is_available() {
        return;
    }
    let app = App::start().await;
    let triggers: Vec<_> = ["a", "b", "c"]
        .map(|order| json!({ "url": app.url(), "body": { "orderId": order }, "workflowRunId": order }))
        .into();
    let triggered = app.client.call("trigger", json!(triggers)).await;
    let expected = ["wfr_a", "wfr_b", "wfr_c"].map(|id| json!({ "workflowRunId": id }));
    assert_eq!(triggered, json!(expected));
    for order in ["a", "b", "c"] {
        app.probe.reached(order, 1).await;
    }
}

#[tokio::test]
async fn trigger_with_a_delay_does_not_start_yet() {
    if !typescript::is_available() {
        return;
    }
    let app = App::start().await;
    let trigger =
        json!({ "url": app.url(), "body": { "orderId": "1" }, "delay": "1d10h", "workflowRunId": "later" });
    app.client.call("trigger", trigger).await;
    let runs = app.client.call("logs", json!({})).await;
    assert_eq!(runs["runs"][0]["workflowState"], "RUN_STARTED");
    assert_eq!(app.client.call("cancel", json!("wfr_later")).await, json!({ "cancelled": 1 }));
    assert_eq!(app.probe.count("1"), 0);
}

#[tokio::test]
async fn notify_reaches_everybody_who_waits() {
    if !typescript::is_available() {
        return;
    }
    let app = App::start().await;
    app.probe.open("7");
    let (one, two) = (app.order("7").await, app.order("7").await);
    let waiters = app.waiting("order-7", 2).await;
    for waiter in waiters.as_array().unwrap() {
        assert_eq!(waiter["url"], app.url());
        assert!(waiter["deadline"].as_i64() > Some(1_700_000_000), "{waiter}");
    }

    let data = json!({ "paid": true, "note": "é<&>\u{1f980}" });
    let notified = app.client.call("notify", json!({ "eventId": "order-7", "eventData": data })).await;
    let mut runs: Vec<_> =
        notified.as_array().unwrap().iter().map(|one| one["workflowRunId"].clone()).collect();
    runs.sort_by_key(ToString::to_string);
    let mut expected = [json!(one), json!(two)];
    expected.sort_by_key(ToString::to_string);
    assert_eq!(runs, expected);
    assert!(notified.as_array().unwrap().iter().all(|one| one["waiter"]["url"] == app.url()), "{notified}");
    for run in [one, two] {
        assert_eq!(app.output(&run).await["event"], data);
    }
    assert_eq!(app.client.call("getWaiters", json!({ "eventId": "order-7" })).await, json!([]));
}

#[tokio::test]
async fn notify_without_a_waiter_tells_nobody() {
    if !typescript::is_available() {
        return;
    }
    let app = App::start().await;
    let told = app.client.call("notify", json!({ "eventId": "order/8 é", "eventData": "text" })).await;
    assert_eq!(told, json!([]));
}

#[tokio::test]
async fn notify_with_a_run_id_is_looked_back_at() {
    if !typescript::is_available() {
        return;
    }
    let app = App::start().await;
    let run = app.order("9").await;
    app.probe.reached("9", 1).await;
    let notify = json!({ "eventId": "order-9", "eventData": { "early": true }, "workflowRunId": run });
    let stored = app.client.call("notify", notify).await;
    assert_eq!(stored["workflowRunId"], run);
    assert!(stored.get("waiter").is_none(), "{stored}");
    app.probe.open("9");
    assert_eq!(app.output(&run).await["event"], json!({ "early": true }));
}

#[tokio::test]
async fn notify_with_a_run_id_reaches_its_wait() {
    if !typescript::is_available() {
        return;
    }
    let app = App::start().await;
    app.probe.open("9");
    let (one, other) = (app.order("9").await, app.order("9").await);
    app.waiting("order-9", 2).await;
    let told = app.client.call("notify", json!({ "eventId": "order-9", "workflowRunId": one })).await;
    assert_eq!(told["workflowRunId"], one);
    assert_eq!(told["waiter"]["url"], app.url());
    assert_eq!(app.output(&one).await["event"], Value::Null, "notified without data");

    let waiters = app.waiting("order-9", 1).await;
    let headers = waiters[0]["headers"].as_object().unwrap();
    let names_the_other = headers
        .iter()
        .any(|(name, value)| name.eq_ignore_ascii_case("upstash-workflow-runid") && *value == json!([other]));
    assert!(names_the_other, "{waiters}");
}

#[tokio::test]
async fn logs_are_filtered_and_paged() {
    if !typescript::is_available() {
        return;
    }
    let app = App::start().await;
    app.probe.open("1");
    for number in 0..12 {
        let trigger = json!({
            "url": app.url(), "body": { "orderId": "1" }, "workflowRunId": format!("run-{number}"),
            "label": if number % 2 == 0 { "even" } else { "odd" },
        });
        app.client.call("trigger", trigger).await;
    }
    app.waiting("order-1", 12).await;
    app.client
        .call("notify", json!({ "eventId": "order-1", "eventData": 5, "workflowRunId": "wfr_run-3" }))
        .await;
    app.output("wfr_run-3").await;
    app.client.call("cancel", json!("wfr_run-4")).await;

    let ids = |logs: &Value| -> Vec<String> {
        let runs = logs["runs"].as_array().unwrap().iter();
        runs.map(|run| run["workflowRunId"].as_str().unwrap().to_owned()).collect()
    };
    let first = app.client.call("logs", json!({})).await;
    assert_eq!(ids(&first).len(), 10);
    assert_eq!(ids(&first)[0], "wfr_run-11", "newest first");
    let second = app.client.call("logs", json!({ "cursor": first["cursor"] })).await;
    assert_eq!(ids(&second), ["wfr_run-1", "wfr_run-0"]);
    assert!(second["cursor"].as_str().is_none_or(str::is_empty), "{second}");

    let three = app.client.call("logs", json!({ "count": 3 })).await;
    assert_eq!(ids(&three), ["wfr_run-11", "wfr_run-10", "wfr_run-9"]);

    for (filter, expected) in [
        (json!({ "workflowRunId": "wfr_run-5" }), vec!["wfr_run-5"]),
        (json!({ "state": "RUN_SUCCESS" }), vec!["wfr_run-3"]),
        (json!({ "state": "RUN_CANCELED" }), vec!["wfr_run-4"]),
        (json!({ "state": "RUN_CANCELED", "label": "odd" }), vec![]),
        (json!({ "workflowRunId": "wfr_gone" }), vec![]),
        (json!({ "workflowUrl": app.url(), "workflowRunId": "wfr_run-0" }), vec!["wfr_run-0"]),
        (json!({ "workflowUrl": app.served.url() }), vec![]),
    ] {
        let logs = app.client.call("logs", json!({ "filter": filter })).await;
        assert_eq!(ids(&logs), expected, "{filter}");
    }

    let done = app.client.call("logs", json!({ "workflowRunId": "wfr_run-3" })).await;
    let run = &done["runs"][0];
    assert_eq!(run["workflowUrl"], app.url());
    assert_eq!(run["workflowRunResponse"], r#"{"event":5,"user":null}"#);
    let steps: Vec<_> = run["steps"].as_array().unwrap().iter().map(|group| &group["steps"][0]).collect();
    let names: Vec<_> = steps.iter().map(|step| step["stepName"].as_str().unwrap()).collect();
    assert_eq!(names, ["init", "prepare", "wait for order"]);
    assert_eq!(steps[2]["waitEventId"], "order-1");
    assert_eq!(steps[2]["waitTimeout"], false);
}

#[tokio::test]
async fn cancel_takes_ids_filters_and_all() {
    if !typescript::is_available() {
        return;
    }
    let app = App::start().await;
    for (run, label) in [("a", "x"), ("b", "x"), ("c", "y"), ("d", "y"), ("e", "z")] {
        let trigger = json!({
            "url": app.url(), "body": { "orderId": run }, "workflowRunId": run, "label": label,
        });
        app.client.call("trigger", trigger).await;
        app.probe.reached(run, 1).await;
    }
    let cancel =
        async |request: Value| app.client.call("cancel", request).await["cancelled"].as_u64().unwrap();
    assert_eq!(cancel(json!(["wfr_a", "wfr_gone"])).await, 1);
    assert_eq!(cancel(json!(["wfr_a"])).await, 0, "it has ended already");
    assert_eq!(cancel(json!({ "filter": { "label": "x" } })).await, 1);
    assert_eq!(cancel(json!({ "filter": { "workflowUrl": app.served.url() } })).await, 0, "exact");
    assert_eq!(
        cancel(json!({ "filter": { "workflowUrl": app.url(), "label": ["y"] }, "count": 1 })).await,
        1
    );
    assert_eq!(
        cancel(json!({ "filter": { "workflowUrlStartingWith": app.served.url(), "label": "y" } })).await,
        1
    );
    assert_eq!(cancel(json!({ "all": true })).await, 1);
    for run in ["wfr_a", "wfr_b", "wfr_c", "wfr_d", "wfr_e"] {
        assert_eq!(app.ended(run).await.workflow_state, RunState::RunCanceled, "{run}");
    }
}

#[tokio::test]
async fn flow_control_limits_runs_and_is_looked_at_and_changed() {
    if !typescript::is_available() {
        return;
    }
    let app = App::start().await;
    let control = async |method: &str, arguments: Vec<Value>| {
        app.client.try_call_with(&format!("flowControl.{method}"), arguments).await.unwrap()
    };
    let waiting = async |count: u64| {
        eventually(format!("{count} wait"), async || {
            let info = control("get", vec![json!("k")]).await;
            (info["waitListSize"] == count).then_some(info)
        })
        .await
    };
    for run in ["a", "b", "c"] {
        let trigger = json!({
            "url": app.url(), "body": { "orderId": run }, "workflowRunId": run,
            "flowControl": { "key": "k", "parallelism": 1, "rate": 50, "period": "1m" },
        });
        app.client.call("trigger", trigger).await;
    }
    app.probe.reached("a", 1).await;
    let info = waiting(2).await;
    let expected = json!({
        "flowControlKey": "k", "waitListSize": 2, "parallelismMax": 1, "parallelismCount": 1, "rateMax": 50,
        "rateCount": 1, "ratePeriod": 60, "ratePeriodStart": info["ratePeriodStart"], "isPaused": false,
        "isPinnedParallelism": false, "isPinnedRate": false,
    });
    assert_eq!(info, expected);
    let ids = |logs: Value| logs["runs"].as_array().unwrap().len();
    assert_eq!(ids(app.client.call("logs", json!({ "filter": { "flowControlKey": "k" } })).await), 3);
    assert_eq!(ids(app.client.call("logs", json!({ "filter": { "flowControlKey": ["j"] } })).await), 0);

    control("pause", vec![json!("k")]).await;
    control("pin", vec![json!("k"), json!({ "parallelism": 2, "rate": 9, "period": 30 })]).await;
    let info = waiting(2).await;
    assert_eq!(info["isPaused"], true);
    assert_eq!(info["isPinnedParallelism"], true);
    assert_eq!((&info["parallelismMax"], &info["rateMax"]), (&json!(2), &json!(9)));
    control("resume", vec![json!("k")]).await;
    app.probe.reached("b", 1).await;
    waiting(1).await;
    control("unpin", vec![json!("k"), json!({ "parallelism": true, "rate": true })]).await;
    control("resetRate", vec![json!("k")]).await;
    let info = waiting(1).await;
    assert_eq!(
        (&info["parallelismMax"], &info["rateCount"], &info["isPinnedRate"]),
        (&json!(1), &json!(0), &json!(false))
    );
    let global = control("getGlobalParallelism", vec![]).await;
    assert_eq!(global["parallelismCount"], 2);

    let error = app.client.try_call_with("flowControl.pin", vec![json!("k"), json!({})]).await.unwrap_err();
    assert_eq!(error["status"], 400);
    assert_eq!(
        app.client.call("cancel", json!({ "filter": { "flowControlKey": "k", "host": "127.0.0.1" } })).await,
        json!({ "cancelled": 3 })
    );
    waiting(0).await;
}

#[tokio::test]
async fn errors_reach_the_client_with_their_status() {
    if !typescript::is_available() {
        return;
    }
    let app = App::start().await;
    let gone = json!({ "eventId": "e", "workflowRunId": "wfr_gone" });
    let error = app.client.try_call("notify", gone).await.unwrap_err();
    assert_eq!(error["status"], 404);
    assert!(error["message"].as_str().unwrap().contains("wfr_gone"), "{error}");

    let error = app.client.try_call("trigger", json!({ "url": "not-a-url" })).await.unwrap_err();
    assert_eq!(error["status"], 400);

    let stranger = TypeScriptClient::new(app.served.url(), "another token");
    let error = stranger.try_call("logs", json!({})).await.unwrap_err();
    assert_eq!(error["status"], 401);
}

#[tokio::test]
async fn the_dead_letter_queue() {
    if !typescript::is_available() {
        return;
    }
    let app = App::start().await;
    let client = &app.client;
    // Nobody listens there.
    let nowhere = "http://127.0.0.1:9/wf";
    for number in 0..4 {
        let trigger = json!({ "url": nowhere, "body": { "number": number }, "retries": 0, "label": "l" });
        client.call("trigger", trigger).await;
    }
    let failed = async || {
        let page = client.call("dlq.list", json!({ "filter": { "label": "l" } })).await;
        page["messages"].as_array().unwrap().clone()
    };
    let messages = eventually("all have failed, and it could not be told", async || {
        let told = |message: &Value| message["failureCallbackInfo"]["state"] == "CALLBACK_FAIL";
        Some(failed().await).filter(|messages| messages.len() == 4 && messages.iter().all(told))
    })
    .await;
    assert_eq!(messages[0]["body"], r#"{"number":3}"#);
    assert_eq!((&messages[0]["workflowUrl"], &messages[0]["responseStatus"]), (&json!(nowhere), &json!(0)));
    let ids: Vec<_> = messages.iter().map(|message| message["dlqId"].clone()).collect();

    let retried = client.call("dlq.retryFailureFunction", json!({ "dlqId": ids[0] })).await;
    assert_eq!(retried["workflowRunId"], messages[0]["workflowRunId"]);
    let legacy = client.call("dlq.resume", json!({ "dlqId": ids[0] })).await;
    assert!(legacy["workflowRunId"].as_str().unwrap().starts_with("wfr_"));
    let several = client.call("dlq.restart", json!({ "dlqIds": [ids[1], ids[2]] })).await;
    assert_eq!(several["workflowRuns"].as_array().unwrap().len(), 2);
    assert_eq!(client.call("dlq.delete", json!({ "dlqIds": [ids[1], ids[3]] })).await["deleted"], 1);
    // The new runs fail as well.
    eventually("three have failed again", async || (failed().await.len() == 3).then_some(())).await;
    assert_eq!(client.call("dlq.delete", json!({ "all": true })).await["deleted"], 3);
    assert_eq!(failed().await, [] as [Value; 0]);
}
