//! Workflows in Rust on an engine over HTTP: the endpoint suspends after each step, and the engine calls it again, signed.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::time::{Duration, SystemTime};

use axum::{Router, extract::State, routing::post};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use workflow::{
    Client, EngineHandle, Error, WaitResult, WorkflowContext,
    client::{GroupKind, LogQuery, RunFilter, RunLog, RunState, StepState, http_client_builder},
    engine::HttpEngine,
    workflow,
};
use workflow_axum::serve;
use workflow_engine::Engine;
use workflow_server::Api;
use workflow_tests::{Probe, Served, TOKEN, eventually};

const KEYS: (&str, &str) = ("sig_current", "sig_next");
const LONG: Duration = Duration::from_secs(3600);

/// An engine behind the API, and an app that knows it by its URL only.
struct Remote {
    engine: Engine,
    client: Client,
    probe: Probe,
    app: Served,
    api: Served,
}

impl Remote {
    async fn start() -> Self {
        Self::start_with(|engine| engine.signing_keys(KEYS.0, KEYS.1)).await
    }

    async fn start_with(settings: impl FnOnce(HttpEngine) -> HttpEngine) -> Self {
        let engine = Engine::builder().signing_keys(KEYS.0, KEYS.1).in_memory().unwrap();
        let api = Served::start(Api::new(engine.clone(), TOKEN).without_app().into_router()).await;
        let listening = Served::listen().await;
        let http = HttpEngine::new(api.url(), TOKEN).unwrap().base_url(&listening.url()).unwrap();
        let http = settings(http);
        let client = http.client();
        let probe = Probe::default();
        let app = listening.serve(workflow_axum::attach(routes(probe.clone()), &EngineHandle::Http(http)));
        Self { engine, client, probe, app, api }
    }

    async fn trigger(&self, path: &str, payload: &impl Serialize) -> String {
        self.client.trigger(path, payload).retry_delay("0").await.unwrap().workflow_run_id
    }

    async fn log(&self, run: &str) -> RunLog {
        let filter = RunFilter { run_ids: vec![run.to_owned()], ..RunFilter::default() };
        let page = self.client.logs(LogQuery { filter, cursor: None, count: Some(1) }).await.unwrap();
        page.runs.into_iter().next().unwrap_or_else(|| panic!("there is no run `{run}`"))
    }

    async fn ended(&self, run: &str) -> RunLog {
        eventually(format!("the run `{run}` ends"), async || {
            Some(self.log(run).await).filter(|log| log.workflow_state != RunState::RunStarted)
        })
        .await
    }

    async fn output(&self, run: &str) -> Value {
        let log = self.ended(run).await;
        assert_eq!(log.workflow_state, RunState::RunSuccess, "{log:#?}");
        log.workflow_run_response.map_or(Value::Null, |output| serde_json::from_str(&output).unwrap())
    }

    async fn waiting(&self, event: &str) {
        eventually(format!("somebody waits for `{event}`"), async || {
            let waiters = self.client.get_waiters(event).await.unwrap();
            (!waiters.is_empty()).then_some(())
        })
        .await
    }

    /// A run that has failed, with what was told of the failed attempts.
    async fn failure(&self, run: &str) -> Vec<String> {
        let log = self.ended(run).await;
        assert_eq!(log.workflow_state, RunState::RunFailed, "{log:#?}");
        let last = log.steps.last().and_then(|group| group.steps.last()).expect("a step that failed");
        assert_eq!(last.state, Some(StepState::StepFailed), "{log:#?}");
        last.errors.iter().map(|error| format!("{} {}", error.error, error.body)).collect()
    }
}

fn routes(probe: Probe) -> Router {
    Router::new()
        .route("/story", post(serve::<story>()))
        .route("/parallel", post(serve::<parallel>()))
        .route("/wait", post(serve::<wait>()))
        .route("/tell", post(serve::<tell>()))
        .route("/flaky", post(serve::<flaky>()))
        .route("/compensate", post(serve::<compensate>()))
        .route("/held", post(serve::<held>()))
        .route("/text", post(serve::<text>()))
        .route("/sum", post(serve::<sum>()))
        .with_state(probe)
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u32,
}

#[workflow]
async fn story(ctx: WorkflowContext<Order>, State(probe): State<Probe>) -> workflow::Result<Value> {
    let order = ctx.request_payload();
    let doubled: u32 = ctx
        .run("double", async || {
            probe.pass("double");
            Ok(order.id * 2)
        })
        .await?;
    ctx.sleep("nap", Duration::from_millis(10)).await?;
    ctx.sleep_until("until long ago", SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_500))
        .await?;
    let seen = ctx
        .run("see", async || {
            probe.pass("see");
            Ok(json!({
                "doubled": doubled,
                "header": ctx.headers().get("x-user").and_then(|value| value.to_str().ok()),
                "labels": ctx.labels(),
                "run": ctx.workflow_run_id(),
            }))
        })
        .await?;
    assert!(ctx.created_at() > SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    Ok(seen)
}

#[tokio::test]
async fn steps_run_once_and_the_function_goes_on_with_their_results() {
    let remote = Remote::start().await;
    let triggered = remote
        .client
        .trigger("/story", &Order { id: 21 })
        .run_id("story-1")
        .header("X-User", "u")
        .header("X-User", "v")
        .label("a")
        .label("b")
        .await
        .unwrap();
    assert_eq!(triggered.workflow_run_id, "wfr_story-1");
    let seen = remote.output("wfr_story-1").await;
    assert_eq!(seen["doubled"], 42);
    assert_eq!(seen["labels"], json!(["a", "b"]));
    assert_eq!(seen["header"], "u, v");
    assert_eq!(seen["run"], "wfr_story-1");
    assert_eq!((remote.probe.count("double"), remote.probe.count("see")), (1, 1));

    let log = remote.log("wfr_story-1").await;
    assert_eq!(log.workflow_url, format!("{}/story", remote.app.url()));
    let names: Vec<_> =
        log.steps.iter().flat_map(|group| &group.steps).map(|step| step.step_name.as_deref()).collect();
    let expected = ["init", "double", "nap", "until long ago", "see"];
    assert_eq!(names, expected.map(Some));
}

#[workflow]
async fn parallel(ctx: WorkflowContext<()>, State(probe): State<Probe>) -> workflow::Result<Value> {
    let step = async |name: &'static str| {
        ctx.run(name, async || {
            probe.pass(name);
            Ok(name.len())
        })
        .await
    };
    let (one, nap, three, event) = tokio::join!(
        step("one"),
        ctx.sleep("nap", Duration::from_millis(10)),
        step("three"),
        ctx.wait_for_event::<u32>("event", "parallel-event", LONG),
    );
    nap?;
    let event = event?.received();
    let last = step("last").await?;
    Ok(json!([one?, three?, event, last]))
}

#[tokio::test]
async fn a_parallel_group_is_planned_run_and_released() {
    let remote = Remote::start().await;
    let run = remote.trigger("/parallel", &()).await;
    remote.waiting("parallel-event").await;
    remote.client.notify("parallel-event", &7).await.unwrap();
    assert_eq!(remote.output(&run).await, json!([3, 5, 7, 4]));
    for place in ["one", "three", "last"] {
        assert_eq!(remote.probe.count(place), 1, "{place}");
    }
    let log = remote.log(&run).await;
    let kinds: Vec<_> = log.steps.iter().map(|group| (group.kind, group.steps.len())).collect();
    assert_eq!(kinds, [(GroupKind::Sequential, 1), (GroupKind::Parallel, 4), (GroupKind::Sequential, 1)]);
}

#[derive(Serialize, Deserialize)]
struct WaitFor {
    event: String,
    millis: u64,
}

#[workflow]
async fn wait(ctx: WorkflowContext<WaitFor>, State(probe): State<Probe>) -> workflow::Result<Value> {
    let WaitFor { event, millis } = ctx.request_payload();
    ctx.run("before", async || {
        probe.hold(event).await;
        Ok(())
    })
    .await?;
    let timeout = Duration::from_millis(*millis);
    match ctx.wait_for_event::<Value>("wait", event.as_str(), timeout).await? {
        WaitResult::Received(data) => Ok(json!({ "received": data })),
        WaitResult::TimedOut => Ok(json!("timed out")),
    }
}

impl Remote {
    async fn wait_for(&self, event: &str, timeout: Duration) -> String {
        let millis = u64::try_from(timeout.as_millis()).unwrap();
        self.trigger("/wait", &WaitFor { event: event.to_owned(), millis }).await
    }
}

#[tokio::test]
async fn a_wait_is_resolved_by_an_event_with_odd_characters() {
    let remote = Remote::start().await;
    let event = "order/1 ?#%é";
    remote.probe.open(event);
    let run = remote.wait_for(event, LONG).await;
    remote.waiting(event).await;
    let notified = remote.client.notify(event, &json!({ "cents": 5, "text": "é<&>" })).await.unwrap();
    assert_eq!(notified.len(), 1);
    assert_eq!(notified[0].workflow_run_id, run);
    assert_eq!(remote.output(&run).await, json!({ "received": { "cents": 5, "text": "é<&>" } }));
}

#[tokio::test]
async fn a_wait_times_out() {
    let remote = Remote::start().await;
    remote.probe.open("never");
    let run = remote.wait_for("never", Duration::from_millis(1)).await;
    assert_eq!(remote.output(&run).await, json!("timed out"));
    assert_eq!(remote.client.get_waiters("never").await.unwrap(), []);
}

#[tokio::test]
async fn a_notification_before_the_wait_is_looked_back_at() {
    let remote = Remote::start().await;
    let run = remote.wait_for("early", LONG).await;
    remote.probe.reached("early", 1).await;
    let stored = remote.client.notify("early", &"data").run_id(&run).await.unwrap();
    assert!(stored[0].waiter.is_none(), "{stored:?}");
    remote.probe.open("early");
    assert_eq!(remote.output(&run).await, json!({ "received": "data" }));
}

#[derive(Serialize, Deserialize)]
struct Tell {
    event: String,
    run: Option<String>,
}

#[workflow]
async fn tell(ctx: WorkflowContext<Tell>) -> workflow::Result<Value> {
    let Tell { event, run } = ctx.request_payload();
    let told = match run {
        Some(run) => ctx.notify_run("tell", run.as_str(), event.as_str(), &"told").await?,
        None => ctx.notify("tell", event.as_str(), &"told").await?,
    };
    let answers: Vec<_> = told
        .notify_response
        .iter()
        .map(|one| json!({ "run": one.workflow_run_id, "waited": one.waiter.is_some(), "error": one.error }))
        .collect();
    Ok(json!({ "event": told.event_id, "answers": answers }))
}

#[tokio::test]
async fn a_workflow_notifies_all_who_wait() {
    let remote = Remote::start().await;
    remote.probe.open("all");
    let waiting = remote.wait_for("all", LONG).await;
    remote.waiting("all").await;
    let telling = remote.trigger("/tell", &Tell { event: "all".to_owned(), run: None }).await;
    let expected = json!({ "event": "all", "answers": [{ "run": waiting, "waited": true, "error": "" }] });
    assert_eq!(remote.output(&telling).await, expected);
    assert_eq!(remote.output(&waiting).await, json!({ "received": "told" }));
}

#[tokio::test]
async fn a_workflow_notifies_one_run_which_looks_back() {
    let remote = Remote::start().await;
    let waiting = remote.wait_for("one", LONG).await;
    remote.probe.reached("one", 1).await;
    let tell = Tell { event: "one".to_owned(), run: Some(waiting.clone()) };
    let telling = remote.trigger("/tell", &tell).await;
    let expected = json!({ "event": "one", "answers": [{ "run": waiting, "waited": false, "error": "" }] });
    assert_eq!(remote.output(&telling).await, expected);
    remote.probe.open("one");
    assert_eq!(remote.output(&waiting).await, json!({ "received": "told" }));
}

#[tokio::test]
async fn a_refused_notification_is_an_answer_and_no_failure() {
    let remote = Remote::start().await;
    let tell = Tell { event: "one".to_owned(), run: Some("wfr_gone".to_owned()) };
    let told = remote.trigger("/tell", &tell).await;
    let told = remote.output(&told).await;
    assert_eq!(told["answers"][0]["run"], "wfr_gone");
    assert!(told["answers"][0]["error"].as_str().unwrap().contains("wfr_gone"), "{told}");
}

#[derive(Serialize, Deserialize)]
struct Flaky {
    place: String,
    failures: usize,
    for_good: bool,
    retries: Option<u32>,
}

#[workflow]
async fn flaky(ctx: WorkflowContext<Flaky>, State(probe): State<Probe>) -> workflow::Result<u32> {
    let Flaky { place, failures, for_good, retries } = ctx.request_payload();
    let step = ctx.step("flaky");
    let step = match retries {
        Some(retries) => step.retries(*retries),
        None => step,
    };
    step.run(async || match probe.pass(place) {
        count if count > *failures => Ok(ctx.attempt()),
        count if *for_good => Err(Error::non_retryable(format!("no use after {count}"))),
        count => Err(Error::msg(format!("failure {count}"))),
    })
    .await
}

impl Remote {
    async fn flaky(&self, failures: usize, for_good: bool, retries: Option<u32>) -> String {
        self.trigger("/flaky", &Flaky { place: "flaky".to_owned(), failures, for_good, retries }).await
    }
}

#[tokio::test]
async fn a_failing_step_is_retried() {
    let remote = Remote::start().await;
    let run = remote.flaky(2, false, None).await;
    assert_eq!(remote.output(&run).await, json!(3));
    assert_eq!(remote.probe.count("flaky"), 3);
}

#[tokio::test]
async fn a_step_that_keeps_failing_fails_the_run_with_its_reason() {
    let remote = Remote::start().await;
    let run = remote.flaky(usize::MAX, false, None).await;
    let errors = remote.failure(&run).await;
    assert_eq!(remote.probe.count("flaky"), 4);
    assert!(errors.last().unwrap().contains("failure 4"), "{errors:?}");
}

#[tokio::test]
async fn a_step_may_have_fewer_retries_than_its_run() {
    let remote = Remote::start().await;
    let run = remote.flaky(usize::MAX, false, Some(1)).await;
    let errors = remote.failure(&run).await;
    assert_eq!(remote.probe.count("flaky"), 2);
    assert!(errors.last().unwrap().contains("failure 2"), "{errors:?}");
}

#[tokio::test]
async fn a_failure_that_is_not_retryable_fails_the_run_at_once() {
    let remote = Remote::start().await;
    let run = remote.flaky(usize::MAX, true, None).await;
    let errors = remote.failure(&run).await;
    assert_eq!(remote.probe.count("flaky"), 1);
    assert!(errors.last().unwrap().contains("no use after 1"), "{errors:?}");
}

#[workflow]
async fn compensate(ctx: WorkflowContext<bool>, State(probe): State<Probe>) -> workflow::Result<Value> {
    let charged = ctx
        .try_run("charge", async || {
            let count = probe.pass("charge");
            let message = format!("declined {count}");
            if *ctx.request_payload() {
                Err::<u32, _>(Error::non_retryable(message))
            } else {
                Err(Error::msg(message))
            }
        })
        .await;
    let released: String = ctx
        .run("release", async || {
            probe.pass("release");
            Ok("released".to_owned())
        })
        .await?;
    Ok(json!([charged.map_err(|failure| failure.message), released]))
}

#[tokio::test]
async fn a_recorded_failure_is_compensated() {
    for (for_good, attempts) in [(true, 1), (false, 4)] {
        let remote = Remote::start().await;
        let run = remote.trigger("/compensate", &for_good).await;
        let output = remote.output(&run).await;
        assert!(output[0]["Err"].as_str().unwrap().contains(&format!("declined {attempts}")), "{output}");
        assert_eq!(output[1], "released");
        assert_eq!((remote.probe.count("charge"), remote.probe.count("release")), (attempts, 1));
    }
}

#[workflow]
async fn held(ctx: WorkflowContext<()>, State(probe): State<Probe>) -> workflow::Result<()> {
    ctx.run("held", async || {
        probe.hold("held").await;
        Ok(())
    })
    .await?;
    ctx.run("after", async || {
        probe.pass("after");
        Ok(())
    })
    .await
}

#[tokio::test]
async fn what_a_cancelled_run_submits_does_not_count() {
    let remote = Remote::start().await;
    let run = remote.trigger("/held", &()).await;
    remote.probe.reached("held", 1).await;
    assert!(remote.client.cancel_run(&run).await.unwrap());
    let before = remote.log(&run).await;
    assert_eq!(before.workflow_state, RunState::RunCanceled);
    remote.probe.open("held");
    remote.probe.left("held").await;
    // The engine drains its deliveries: the endpoint has answered.
    remote.engine.shutdown().await;
    assert_eq!(remote.probe.count("after"), 0);
    assert_eq!(remote.probe.count("held"), 1);
}

#[workflow]
async fn text(ctx: WorkflowContext<String>) -> workflow::Result<String> {
    Ok(ctx.request_payload().to_uppercase())
}

#[tokio::test]
async fn a_payload_may_be_plain_text() {
    let remote = Remote::start().await;
    let run = remote.client.trigger("/text", &()).raw("plain é", "text/plain").await.unwrap();
    assert_eq!(remote.output(&run.workflow_run_id).await, json!("PLAIN É"));
}

#[tokio::test]
async fn a_payload_that_does_not_fit_fails_the_run_without_retries() {
    let remote = Remote::start().await;
    let run = remote.trigger("/story", &json!({ "id": "seven" })).await;
    let errors = remote.failure(&run).await;
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("id") && errors[0].contains("u32"), "{errors:?}");
}

#[tokio::test]
async fn only_the_engine_is_listened_to_while_signing_keys_are_set() {
    let remote = Remote::start().await;
    let http = http_client_builder().unwrap().build().unwrap();
    let url = format!("{}/text", remote.app.url());

    let direct = http.post(&url).body("hello").send().await.unwrap();
    assert_eq!(direct.status(), 401);
    assert!(direct.text().await.unwrap().contains("Upstash-Signature"));

    let delivery = http
        .post(&url)
        .header("upstash-workflow-sdk-version", "1")
        .header("upstash-workflow-runid", "wfr_x")
        .header("upstash-signature", "a.b.c")
        .body(r#"[{"messageId":"m","body":"aGVsbG8=","callType":"step"}]"#);
    let delivery = delivery.send().await.unwrap();
    assert_eq!(delivery.status(), 500);
    assert_eq!(remote.client.logs(LogQuery::default()).await.unwrap().runs, []);
}

#[tokio::test]
async fn a_key_that_the_engine_does_not_sign_with_stops_its_deliveries() {
    let remote = Remote::start_with(|engine| engine.signing_keys("other", "another")).await;
    let run = remote.client.trigger("/text", &"hello").retries(0).await.unwrap().workflow_run_id;
    let errors = remote.failure(&run).await;
    assert!(errors[0].contains("QSTASH_CURRENT_SIGNING_KEY"), "{errors:?}");
}

#[tokio::test]
async fn deliveries_go_on_after_the_keys_were_exchanged() {
    let remote = Remote::start().await;
    remote.engine.rotate_keys().await.unwrap();
    let run = remote.trigger("/text", &"hello").await;
    assert_eq!(remote.output(&run).await, json!("HELLO"));
}

#[tokio::test]
async fn a_plain_post_starts_a_run_with_its_headers() {
    let remote = Remote::start_with(|engine| engine).await;
    let http = http_client_builder().unwrap().build().unwrap();
    let request = http
        .post(format!("{}/story", remote.app.url()))
        .header("content-type", "application/json")
        .header("x-user", "direct")
        .header("upstash-label", "first,second")
        .body(r#"{"id":4}"#);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["upstash-workflow-sdk-version"], "1");
    let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!(answer["finishCondition"], "success");
    let seen = remote.output(answer["workflowRunId"].as_str().unwrap()).await;
    assert_eq!(seen["header"], "direct");
    assert_eq!(seen["labels"], json!(["first", "second"]));
    assert_eq!(seen["doubled"], 8);
}

#[workflow]
async fn sum(ctx: WorkflowContext<bytes::Bytes>) -> workflow::Result<u32> {
    Ok(ctx.request_payload().iter().map(|byte| u32::from(*byte)).sum())
}

#[tokio::test]
async fn bytes_that_are_no_text_reach_the_workflow() {
    let remote = Remote::start().await;
    let bytes: &[u8] = &[0xff, 0xfe, 0x00, 0x80];
    let run = remote.client.trigger("/sum", &()).raw(bytes, "application/octet-stream").await.unwrap();
    assert_eq!(remote.output(&run.workflow_run_id).await, json!(255 + 254 + 128));

    let several = [remote.client.trigger("/sum", &1), remote.client.trigger("/sum", &()).raw(bytes, "a/b")];
    let error = remote.client.trigger_many(several).await.unwrap_err().to_string();
    assert!(error.contains("not UTF-8"), "{error}");
    assert_eq!(remote.client.logs(LogQuery::default()).await.unwrap().runs.len(), 1);
}

#[tokio::test]
async fn a_server_without_an_app_wants_absolute_urls() {
    let remote = Remote::start().await;
    let client =
        Client::new(&format!("http://{}", remote.api.url().trim_start_matches("http://")), TOKEN).unwrap();
    assert!(client.trigger("/text", &1).await.is_err());
    let http = http_client_builder().unwrap().build().unwrap();
    let answer =
        http.post(format!("{}/v2/trigger//text", remote.api.url())).bearer_auth(TOKEN).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    assert!(answer.text().await.unwrap().contains("absolute URL"));
}
