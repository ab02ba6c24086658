//! HTTP requests that the engine makes for workflows of its process: whatever is answered is the result, once.

use std::time::Duration;

use axum::{Router, extract::State, routing::post};
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use workflow::{
    WorkflowContext,
    client::{RunState, StepLog, StepState},
    protocol::{StepType, signature},
    workflow,
};
use workflow_tests::{Probe, START, TestApp, ThirdParty, eventually};

const MINUTE: Duration = Duration::from_secs(60);

#[derive(Clone, Serialize, Deserialize)]
struct Request {
    url: String,
    retries: u32,
    timeout: Option<Duration>,
}

fn get(url: String) -> Request {
    Request { url, retries: 0, timeout: None }
}

/// A request beside a step that fails for good.
#[workflow]
async fn doomed(ctx: WorkflowContext<String>, State(probe): State<Probe>) -> workflow::Result<()> {
    let call = ctx.call("call", ctx.request_payload());
    let fail = ctx.run("fail", async || {
        probe.hold("fail").await;
        Err::<(), _>(workflow::Error::non_retryable("for good"))
    });
    tokio::try_join!(call, fail).map(drop)
}

/// Status and text of the answer; what follows passes `after`.
#[workflow]
async fn call(ctx: WorkflowContext<Request>, State(probe): State<Probe>) -> workflow::Result<(u16, String)> {
    let request = ctx.request_payload();
    let mut step = ctx.call("call", &request.url).retries(request.retries).retry_delay("60000");
    if let Some(timeout) = request.timeout {
        step = step.timeout(timeout);
    }
    let answer = step.await?;
    ctx.run("after", async || Ok(probe.pass("after"))).await?;
    Ok((answer.status(), answer.text()))
}

#[workflow]
async fn put(ctx: WorkflowContext<String>) -> workflow::Result<Value> {
    let answer = ctx
        .call("put", ctx.request_payload())
        .json(&json!({ "a": ["ü", 1] }))
        .method(Method::PUT)
        .header("X-Key", "secret")
        .header("Authorization", "Bearer secret")
        .await?;
    Ok(json!([answer.status(), answer.header("Content-Type"), answer.json::<Value>()?]))
}

#[workflow]
async fn group(
    ctx: WorkflowContext<Vec<String>>,
    State(probe): State<Probe>,
) -> workflow::Result<(Vec<u16>, usize)> {
    let calls = ctx.request_payload().iter().enumerate();
    let calls = calls.map(|(index, url)| ctx.call(format!("call {index}"), url));
    let calls = futures_util::future::try_join_all(calls);
    let step = ctx.run("beside", async || Ok(probe.pass("beside")));
    let (answers, beside) = tokio::try_join!(calls, step)?;
    Ok((answers.iter().map(workflow::CallResponse::status).collect(), beside))
}

#[workflow]
async fn bytes(ctx: WorkflowContext<String>) -> workflow::Result<(u16, usize, bool)> {
    let answer = ctx.call("call", ctx.request_payload()).await?;
    let expected: Vec<u8> = (0..=u8::MAX).cycle().take(answer.body().len()).collect();
    Ok((answer.status(), answer.body().len(), *answer.body() == expected))
}

fn routes(router: Router<Probe>) -> Router<Probe> {
    router
        .route("/call", post(workflow_axum::serve::<call>()))
        .route("/put", post(workflow_axum::serve::<put>()))
        .route("/group", post(workflow_axum::serve::<group>()))
        .route("/bytes", post(workflow_axum::serve::<bytes>()))
        .route("/doomed", post(workflow_axum::serve::<doomed>()))
}

async fn start(app: &TestApp, request: &Request) -> String {
    app.client.trigger_url("/call", request).header("X-User", "of the run").await.unwrap().workflow_run_id
}

/// Waits until this many attempts of the one call of a run have failed.
async fn failed(app: &TestApp, run: &str, attempts: usize) -> StepLog {
    eventually(format!("{attempts} attempts have failed"), async || {
        let groups = app.log(run).await.steps;
        let mut steps = groups.into_iter().flat_map(|group| group.steps);
        steps.find(|step| step.step_type == Some(StepType::Call) && step.errors.len() == attempts)
    })
    .await
}

/// The one step of a run that is a call.
async fn call_log(app: &TestApp, run: &str) -> StepLog {
    let groups = app.log(run).await.steps;
    let mut calls = groups
        .into_iter()
        .flat_map(|group| group.steps)
        .filter(|step| step.step_type == Some(StepType::Call));
    let call = calls.next().expect("there is a call");
    assert!(calls.next().is_none());
    call
}

#[tokio::test]
async fn a_request_is_what_the_step_says_and_its_answer_the_result() {
    let third = ThirdParty::start().await;
    let app = TestApp::in_memory_with(routes);
    let url = third.url("/echo?x=1");
    let trigger = app.client.trigger_url("/put", &url).header("X-User", "of the run");
    let run = trigger.await.unwrap().workflow_run_id;
    let expected = json!([201, "application/json", { "a": ["ü", 1] }]);
    assert_eq!(app.output::<Value>(&run).await, expected);

    let requests = third.requests();
    let [request] = requests.as_slice() else { panic!("{requests:?}") };
    assert_eq!((&request.method, request.uri.to_string().as_str()), (&Method::PUT, "/echo?x=1"));
    assert_eq!(request.body, r#"{"a":["ü",1]}"#);
    let header = |name: &str| request.headers.get(name).map(|value| value.to_str().unwrap());
    assert_eq!(header("content-type"), Some("application/json"));
    assert_eq!((header("x-key"), header("x-user")), (Some("secret"), None));
    assert_eq!(header("upstash-retried"), Some("0"));
    let signature = header("upstash-signature").expect("a request of the engine is signed");
    let keys = app.engine.keys();
    signature::verify(&keys.current, &keys.next, signature, &request.body, START).unwrap();

    let log = call_log(&app, &run).await;
    assert_eq!(header("upstash-message-id").map(|id| id.starts_with("msg_")), Some(true));
    assert_eq!((log.call_url.as_deref(), log.call_method.as_deref()), (Some(url.as_str()), Some("PUT")));
    assert_eq!((log.call_response_status, log.state), (Some(201), Some(StepState::StepSuccess)));
    assert_eq!(log.call_response_body, log.call_body);
    assert_eq!(log.call_headers.get("X-Key"), Some(&vec!["secret".to_owned()]));
    assert!(!log.call_headers.contains_key("Authorization"), "{log:?}");
}

#[tokio::test]
async fn an_answer_that_is_no_success_is_a_result_too() {
    let third = ThirdParty::start().await;
    let app = TestApp::in_memory_with(routes);
    for status in [404, 500, 302] {
        let run = start(&app, &get(third.url(&format!("/status/{status}")))).await;
        assert_eq!(app.output::<(u16, String)>(&run).await, (status, format!("status/{status}")));
    }
    assert_eq!(third.requests().len(), 3);
}

#[tokio::test]
async fn a_request_is_repeated_as_often_as_the_step_says() {
    let third = ThirdParty::start().await;
    let mut app = TestApp::on_file_with(routes);
    let run = start(&app, &Request { retries: 2, ..get(third.url("/flaky/2")) }).await;
    for attempts in 1..=2 {
        let log = failed(&app, &run, attempts).await;
        assert_eq!((log.state, log.errors[0].status), (Some(StepState::StepRetry), 503));
        app.advance(MINUTE - Duration::from_millis(1));
        app.crash().await;
        assert_eq!(third.requests().len(), attempts, "the pause outlives a restart");
        app.advance(Duration::from_millis(1));
    }
    assert_eq!(app.output::<(u16, String)>(&run).await, (200, "flaky/2".to_owned()));
    let header =
        |name| third.requests().iter().map(|r| r.headers[name].to_str().unwrap().to_owned()).collect();
    let (retried, ids): (Vec<_>, Vec<_>) = (header("upstash-retried"), header("upstash-message-id"));
    assert_eq!(retried, ["0", "1", "2"]);
    assert!(ids.iter().all(|id| *id == ids[0]), "a third party can tell a repetition: {ids:?}");
}

#[tokio::test]
async fn what_the_last_attempt_has_given_is_the_result() {
    let third = ThirdParty::start().await;
    let app = TestApp::in_memory_with(routes);
    let run = start(&app, &Request { retries: 1, ..get(third.url("/flaky/9")) }).await;
    failed(&app, &run, 1).await;
    app.advance(MINUTE);
    assert_eq!(app.output::<(u16, String)>(&run).await, (503, "flaky/9".to_owned()));
}

#[tokio::test]
async fn nobody_there_and_nobody_who_answers_in_time_are_results() {
    let third = ThirdParty::start().await;
    let app = TestApp::in_memory_with(routes);
    let run = start(&app, &get(workflow_tests::ELSEWHERE.to_owned())).await;
    let (status, body) = app.output::<(u16, String)>(&run).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["error"]), (502, &json!("no answer")));

    let request = Request { timeout: Some(Duration::from_millis(1)), ..get(third.url("/hold")) };
    let run = start(&app, &request).await;
    let (status, body) = app.output::<(u16, String)>(&run).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["error"]), (504, &json!("no answer in time")));
    assert!(body["message"].as_str().unwrap().contains("/hold"), "{body}");
}

#[tokio::test]
async fn any_bytes_are_an_answer_but_not_any_number_of_them() {
    let third = ThirdParty::start().await;
    let app = TestApp::in_memory_with(routes);
    const LIMIT: usize = 10 * 1024 * 1024;
    for count in [0, 300, 300_000] {
        let trigger = app.client.trigger_url("/bytes", &third.url(&format!("/bytes/{count}")));
        let run = trigger.await.unwrap().workflow_run_id;
        assert_eq!(app.output::<(u16, usize, bool)>(&run).await, (200, count, true));
    }
    let run = start(&app, &get(third.url(&format!("/bytes/{}", LIMIT + 1)))).await;
    let (status, body) = app.output::<(u16, String)>(&run).await;
    assert_eq!(status, 502);
    assert!(body.contains("answered 200 with a body of more than 10485760 bytes"), "{body}");
}

#[tokio::test]
async fn what_cannot_be_called_fails_the_run_with_the_reason() {
    let app = TestApp::in_memory_with(routes);
    for (url, why) in [("/call", "absolute URL"), ("ftp://a/", "http://"), ("http://", "URL")] {
        let run = start(&app, &get(url.to_owned())).await;
        assert_eq!(app.ended(&run).await.workflow_state, RunState::RunFailed);
        let errors = app.errors(&run).await;
        assert!(errors.len() == 1 && errors[0].error.contains(why), "{url}: {errors:?}");
    }
}

#[tokio::test]
async fn calls_in_a_group_are_made_side_by_side() {
    let third = ThirdParty::start().await;
    let app = TestApp::in_memory_with(routes);
    let mut urls: Vec<_> = (0..40).map(|n| third.url(&format!("/status/{}", 200 + n))).collect();
    urls.push(third.url("/hold"));
    let run = app.client.trigger_url("/group", &urls).await.unwrap().workflow_run_id;
    third.probe.reached("hold", 1).await;
    app.recorded(&run, 41).await;
    third.probe.open("hold");
    let (statuses, beside) = app.output::<(Vec<u16>, usize)>(&run).await;
    assert_eq!(statuses, (200..240).chain([200]).collect::<Vec<_>>());
    assert_eq!((beside, third.requests().len()), (1, 41));
}

/// 2b G.34, J: a request that nobody has answered yet when the process dies is made again; one that is recorded is not.
#[tokio::test]
async fn a_crash_repeats_a_request_only_while_it_is_not_answered() {
    let third = ThirdParty::start().await;
    let mut app = TestApp::on_file_with(routes);
    let urls = [third.url("/echo"), third.url("/hold")];
    let run = app.client.trigger_url("/group", &urls).await.unwrap().workflow_run_id;
    app.recorded(&run, 2).await;
    for times in 1..=3 {
        third.probe.reached("hold", times).await;
        app.crash().await;
    }
    third.probe.open("hold");
    assert_eq!(app.output::<(Vec<u16>, usize)>(&run).await, (vec![201, 200], 1));
    assert_eq!((third.probe.count("echo"), third.probe.count("hold")), (1, 4));
}

/// 2b F: a request of a run that is cancelled is broken off, and what it holds under flow control is free.
#[tokio::test]
async fn a_run_that_is_cancelled_does_not_wait_for_its_answer() {
    let third = ThirdParty::start().await;
    let app = TestApp::in_memory_with(routes);
    let run = start(&app, &get(third.url("/hold"))).await;
    third.probe.reached("hold", 1).await;
    assert!(app.client.cancel_run(&run).await.unwrap());
    // Nobody has opened it: the connection is closed.
    third.probe.left("hold").await;
    // Whatever comes of it, it is settled before what is submitted later.
    let next = start(&app, &get(third.url("/echo"))).await;
    app.ended(&next).await;
    let log = app.log(&run).await;
    assert_eq!(log.workflow_state, RunState::RunCanceled);
    assert_eq!(call_log(&app, &run).await.state, Some(StepState::StepCanceled));
    assert_eq!(app.probe.count("after"), 1, "that of the other run");
}

/// 2b F: the same where the run fails by itself.
#[tokio::test]
async fn a_request_of_a_run_that_has_failed_is_broken_off() {
    let third = ThirdParty::start().await;
    let app = TestApp::in_memory_with(routes);
    let run = app.client.trigger_url("/doomed", &third.url("/hold")).await.unwrap().workflow_run_id;
    third.probe.reached("hold", 1).await;
    app.probe.reached("fail", 1).await;
    app.probe.open("fail");
    assert_eq!(app.ended(&run).await.workflow_state, RunState::RunFailed);
    third.probe.left("hold").await;
}
