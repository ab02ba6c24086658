//! The binary `workflow dev` drives workflows that are written with the published TypeScript SDK, which verifies signatures.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

macro_rules! dev_or_skip {
    () => {
        if crate::typescript::is_available() { Dev::start().await } else { return }
    };
}

mod asking;
#[path = "../typescript/mod.rs"]
mod typescript;

use axum::{Router, http::HeaderMap, routing::post};
use serde_json::{Value, json};
use workflow::{
    Client, FlowControl,
    client::{CallbackState, GroupKind, RunLog, RunState, StepState, http_client_builder},
};
use workflow_tests::{DevServer, Runs, Served, eventually};

use self::typescript::Script;

/// `workflow dev` in a process of its own, and the endpoint.
struct Dev {
    client: Client,
    endpoint: Script,
    url: String,
    _server: DevServer,
}

impl Dev {
    async fn start() -> Self {
        let server = DevServer::start().await;
        let endpoint = Script::start("endpoint.mjs", &server.environment());
        let url = endpoint.line().await;
        Self { client: server.client(), endpoint, url, _server: server }
    }

    async fn trigger(&self, path: &str, payload: Value) -> String {
        let url = format!("{}{path}", self.url);
        self.client.trigger_url(url, &payload).retry_delay("0").await.unwrap().workflow_run_id
    }
}

impl Runs for Dev {
    fn client(&self) -> &Client {
        &self.client
    }
}

#[tokio::test]
async fn steps_and_sleeps() {
    let dev = dev_or_skip!();
    let triggered = dev
        .client
        .trigger_url(format!("{}/steps", dev.url), &json!({ "number": 21 }))
        .run_id("steps")
        .header("X-User", "ann")
        .label("a")
        .await
        .unwrap();
    let run = triggered.workflow_run_id;
    let expected = json!({ "doubled": 42, "user": "ann", "label": "a", "runId": run });
    assert_eq!(dev.output(&run).await, expected);
    assert_eq!(dev.endpoint.line().await, "double");

    let log = dev.log(&run).await;
    let names: Vec<_> =
        log.steps.iter().flat_map(|group| &group.steps).map(|step| step.step_name.as_deref()).collect();
    assert_eq!(names, ["init", "double", "nap", "until long ago", "tell"].map(Some));
}

#[tokio::test]
async fn parallel_steps_sleeps_and_waits() {
    let dev = dev_or_skip!();
    let run = dev.trigger("/parallel", json!(null)).await;
    dev.waiting("parallel-event").await;
    dev.client.notify("parallel-event", &json!({ "é": [1, 2] })).await.unwrap();
    let expected = json!({
        "first": "one",
        "second": { "two": 2 },
        "event": { "eventData": { "é": [1, 2] }, "timeout": false },
        "nothing": { "timeout": true },
    });
    assert_eq!(dev.output(&run).await, expected);
    let groups: Vec<_> =
        dev.log(&run).await.steps.iter().map(|group| (group.kind, group.steps.len())).collect();
    let expected = [
        (GroupKind::Sequential, 1),
        (GroupKind::Parallel, 3),
        (GroupKind::Parallel, 2),
        (GroupKind::Sequential, 1),
    ];
    assert_eq!(groups, expected);
    assert_eq!(dev.endpoint.line().await, "join", "the first step that says anything, and it ran once");
}

#[tokio::test]
async fn a_wait_ends_by_an_event() {
    let dev = dev_or_skip!();
    let run = dev.trigger("/wait", json!({ "eventId": "event", "timeout": "1h" })).await;
    dev.waiting("event").await;
    let told = dev.client.notify("event", &"text").await.unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].workflow_run_id, run);
    assert_eq!(dev.output(&run).await, json!({ "eventData": "text", "timeout": false }));
}

#[tokio::test]
async fn a_wait_ends_by_an_event_without_data() {
    let dev = dev_or_skip!();
    let run = dev.trigger("/wait", json!({ "eventId": "event", "timeout": "1h" })).await;
    dev.waiting("event").await;
    dev.client.notify("event", &()).await.unwrap();
    assert_eq!(dev.output(&run).await, json!({ "timeout": false }));
}

#[tokio::test]
async fn a_wait_ends_by_its_timeout() {
    let dev = dev_or_skip!();
    let run = dev.trigger("/wait", json!({ "eventId": "event", "timeout": 1 })).await;
    assert_eq!(dev.output(&run).await, json!({ "timeout": true }));
    assert!(dev.client.notify("event", &1).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_notification_from_outside_is_looked_back_at() {
    let dev = dev_or_skip!();
    let run = dev.trigger("/late-wait", json!(null)).await;
    assert_eq!(dev.endpoint.line().await, format!("announce {run}"));
    dev.waiting("gate").await;
    let stored = dev.client.notify("late", &json!({ "early": true })).run_id(&run).await.unwrap();
    assert!(stored[0].waiter.is_none(), "{stored:?}");
    dev.client.notify("gate", &()).await.unwrap();
    assert_eq!(dev.output(&run).await, json!({ "eventData": { "early": true }, "timeout": false }));
}

#[tokio::test]
async fn a_workflow_notifies_everybody_who_waits() {
    let dev = dev_or_skip!();
    let waiting = dev.trigger("/wait", json!({ "eventId": "order-1", "timeout": "1h" })).await;
    dev.waiting("order-1").await;
    let telling = dev.trigger("/tell", json!({ "eventId": "order-1", "data": { "paid": true } })).await;
    let told = dev.output(&telling).await;
    assert_eq!(told["eventId"], "order-1");
    assert_eq!(told["eventData"], json!({ "paid": true }));
    assert_eq!(told["notifyResponse"][0]["workflowRunId"], waiting);
    assert_eq!(dev.output(&waiting).await, json!({ "eventData": { "paid": true }, "timeout": false }));
}

#[tokio::test]
async fn a_workflow_notifies_one_run_which_looks_back() {
    let dev = dev_or_skip!();
    let run = dev.trigger("/late-wait", json!(null)).await;
    dev.waiting("gate").await;
    let telling = dev.trigger("/tell", json!({ "eventId": "late", "data": [1], "runId": run })).await;
    let told = dev.output(&telling).await;
    assert_eq!(told["notifyResponse"]["workflowRunId"], run, "with a run id the answer is one object");
    assert!(told["notifyResponse"].get("waiter").is_none(), "{told}");
    dev.client.notify("gate", &()).await.unwrap();
    assert_eq!(dev.output(&run).await, json!({ "eventData": [1], "timeout": false }));
}

#[tokio::test]
async fn failures_are_retried_or_not() {
    let dev = dev_or_skip!();
    for (for_good, attempts, reason) in
        [(true, 1, "for good"), (false, 4, "step `fail` failed (500): for now")]
    {
        let run = dev.trigger("/fail", json!({ "forGood": for_good })).await;
        let log = dev.ended(&run).await;
        assert_eq!(log.workflow_state, RunState::RunFailed);
        let errors = &log.steps.last().unwrap().steps[0].errors;
        assert_eq!(errors.len(), attempts, "{errors:#?}");
        assert!(errors.iter().all(|error| error.error.contains(reason)), "{errors:#?}");
        for _ in 0..attempts {
            assert_eq!(dev.endpoint.line().await, "fail");
        }
    }
    // Had a step run more often, its line would come before this one.
    let run = dev.trigger("/late-wait", json!(null)).await;
    assert_eq!(dev.endpoint.line().await, format!("announce {run}"));
}

impl Dev {
    /// Waits until a run has failed and its failure was told.
    async fn told(&self, run: &str) -> RunLog {
        eventually(format!("the failure of `{run}` is told"), async || {
            let log = self.ended(run).await;
            let state = log.failure_function.as_ref().map(|function| function.state);
            (state != Some(CallbackState::InProgress)).then_some(log)
        })
        .await
    }
}

#[tokio::test]
async fn a_failure_function_is_told_and_retried_and_its_run_resumed() {
    let dev = dev_or_skip!();
    let url = format!("{}/guarded", dev.url);
    let payload = json!({ "key": "a", "failures": 1, "functionFailures": 2 });
    let trigger = dev.client.trigger_url(&url, &payload).retries(1).retry_delay("0").label("retail");
    let run = trigger.header("X-User", "ann").await.unwrap().workflow_run_id;
    let log = dev.told(&run).await;
    assert_eq!(log.workflow_state, RunState::RunFailed);
    let function = log.failure_function.unwrap();
    assert_eq!((function.state, function.errors.len()), (CallbackState::Failed, 2), "{function:?}");
    assert!(function.errors[1].error.contains("nobody answers"), "{function:?}");
    assert_eq!((function.fail_status, function.fail_response.as_str()), (489, "the card was declined"));
    for line in ["first a", "failed a", "failed a"] {
        assert_eq!(dev.endpoint.line().await, line);
    }

    let dlq = dev.client.dlq();
    let id = log.dlq_id.unwrap();
    dlq.retry_failure_function(&id).await.unwrap();
    let function = dev.told(&run).await.failure_function.unwrap();
    assert_eq!(function.state, CallbackState::Success);
    let result: Value = serde_json::from_str(&function.response_body.unwrap()).unwrap();
    let expected = json!({ "result": {
        "key": "a", "workflowRunId": run, "url": url, "user": "ann", "label": "retail", "never": ["true"],
        "failStatus": 489, "failResponse": "the card was declined",
    }});
    assert_eq!(result, expected);
    assert_eq!(dev.endpoint.line().await, "failed a");

    let message = dlq.get(&id).await.unwrap().unwrap();
    assert_eq!((message.response_status, message.url.as_str()), (489, url.as_str()));
    assert_eq!(message.body.as_deref(), Some(payload.to_string().as_str()));
    let resumed = dlq.resume(&*id).await.unwrap().workflow_runs.remove(0).workflow_run_id;
    assert_eq!(dev.output(&resumed).await, json!("charged a"));
    let restarted = dev.trigger("/guarded", json!({ "key": "b", "failures": 1 })).await;
    let id = dev.told(&restarted).await.dlq_id.unwrap();
    let restarted = dlq.restart(id).await.unwrap().workflow_runs.remove(0).workflow_run_id;
    assert_eq!(dev.output(&restarted).await, json!("charged b"));
    // The first step did not run again when the run was resumed, and did when it was restarted.
    for line in ["first b", "failed b", "first b"] {
        assert_eq!(dev.endpoint.line().await, line);
    }
}

#[tokio::test]
async fn an_endpoint_without_a_failure_function_says_so() {
    let dev = dev_or_skip!();
    let run = dev.trigger("/fail", json!({ "forGood": true })).await;
    assert_eq!(dev.told(&run).await.failure_function, None);
}

#[tokio::test]
async fn a_failure_url_is_told_instead_of_the_workflow() {
    let dev = dev_or_skip!();
    let (sent, mut told) = tokio::sync::mpsc::unbounded_channel();
    let listener = Served::start(Router::new().route(
        "/failures",
        post(async move |headers: HeaderMap, body: String| {
            let named = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
            let run = named("upstash-workflow-runid");
            sent.send((run, named("upstash-workflow-sdk-version"), body)).unwrap();
        }),
    ))
    .await;
    let payload = json!({ "key": "c", "failures": 9 });
    let trigger = dev.client.trigger_url(format!("{}/guarded", dev.url), &payload);
    let run = trigger.failure_url(format!("{}/failures", listener.url())).await.unwrap().workflow_run_id;
    let log = dev.told(&run).await;
    assert_eq!(log.failure_function.unwrap().state, CallbackState::Success);
    let (named, version, body) = told.recv().await.unwrap();
    assert_eq!((named, version), (Some(run), None));
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&body["status"], &body["dlqId"]), (&json!(489), &json!(log.dlq_id)));
}

/// Protocol, section I, decision 5: what failed and what has no result is begun again, what has one is not.
#[tokio::test]
async fn a_parallel_group_is_resumed() {
    let dev = dev_or_skip!();
    let run = dev.trigger("/group", json!(null)).await;
    dev.waiting("group-event").await;
    eventually("the other steps are recorded", async || {
        let log = dev.log(&run).await;
        let group = log.steps.iter().find(|group| group.kind == GroupKind::Parallel)?;
        let done = group.steps.iter().filter(|step| step.state == Some(StepState::StepSuccess));
        (done.count() == 2).then_some(())
    })
    .await;
    let http = http_client_builder().unwrap().build().unwrap();
    http.post(format!("{}/open", dev.url)).send().await.unwrap();
    let id = dev.ended(&run).await.dlq_id.unwrap();
    assert_eq!(dev.client.get_waiters("group-event").await.unwrap(), []);
    let resumed = dev.client.dlq().resume(id).await.unwrap().workflow_runs.remove(0).workflow_run_id;
    dev.waiting("group-event").await;
    dev.client.notify("group-event", &7).await.unwrap();
    let event = json!({ "eventData": 7, "timeout": false });
    assert_eq!(dev.output(&resumed).await, json!({ "left": "left", "right": "right", "event": event }));
    for line in ["before", "left", "after"] {
        assert_eq!(dev.endpoint.line().await, line);
    }
}

/// What was answered is told the resumed run; the call is not made again.
#[tokio::test]
async fn a_run_is_resumed_that_could_not_be_told_the_answer_to_its_call() {
    let dev = dev_or_skip!();
    let url = format!("{}/calling", dev.url);
    let run = dev.client.trigger_url(url, &()).retries(0).await.unwrap().workflow_run_id;
    let log = dev.told(&run).await;
    assert_eq!(log.workflow_state, RunState::RunFailed);
    let http = http_client_builder().unwrap().build().unwrap();
    http.post(format!("{}/mend", dev.url)).send().await.unwrap();
    let resumed = dev.client.dlq().resume(log.dlq_id.unwrap()).await.unwrap().workflow_runs.remove(0);
    assert_eq!(
        dev.output(&resumed.workflow_run_id).await,
        json!({ "status": 200, "body": { "paid": true } })
    );
    assert_eq!(dev.endpoint.line().await, "called");
    dev.trigger("/guarded", json!({ "key": "d", "failures": 0 })).await;
    assert_eq!(dev.endpoint.line().await, "first d", "the call was made once");
}

#[tokio::test]
async fn a_workflow_cancels_itself() {
    let dev = dev_or_skip!();
    let run = dev.trigger("/cancel", json!(null)).await;
    assert_eq!(dev.ended(&run).await.workflow_state, RunState::RunCanceled);
}

#[tokio::test]
async fn deliveries_that_share_a_key_keep_to_its_parallelism() {
    let dev = dev_or_skip!();
    let trigger = || {
        let limits = FlowControl::key("crowd").parallelism(2).rate(1000);
        dev.client.trigger_url(format!("{}/crowd", dev.url), &json!(null)).flow_control(limits)
    };
    let runs = dev.client.trigger_many((0..12).map(|_| trigger())).await.unwrap();
    for run in runs {
        assert_eq!(dev.output(&run.workflow_run_id).await, json!(2));
    }
    eventually("nothing is under way or waits", async || {
        let crowd = dev.client.flow_control().get("crowd").await.unwrap();
        assert_eq!((crowd.parallelism_max, crowd.rate_max), (2, 1000));
        (crowd.parallelism_count == 0 && crowd.wait_list_size == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_destination_that_is_no_workflow_fails_the_run_at_once() {
    let dev = dev_or_skip!();
    let run = dev.trigger("/not-a-workflow", json!(null)).await;
    let log = dev.ended(&run).await;
    assert_eq!(log.workflow_state, RunState::RunFailed);
    let errors = &log.steps.last().unwrap().steps[0].errors;
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].error.contains("non-workflow destination"), "{errors:?}");
}

#[tokio::test]
async fn the_endpoint_verifies_signatures() {
    let dev = dev_or_skip!();
    let http = http_client_builder().unwrap().build().unwrap();
    let request = http
        .post(format!("{}/steps", dev.url))
        .header("upstash-workflow-sdk-version", "1")
        .header("upstash-workflow-runid", "wfr_forged")
        .body(r#"[{"messageId":"m","body":"e30=","callType":"step"}]"#);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 500);
    assert!(answer.text().await.unwrap().contains("signature"));
}
