//! Webhooks: every call of one is received by one wait, stored for one, or refused; whenever it comes.

use std::time::Duration;

use axum::{Router, extract::State, routing::post};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use serde::{Deserialize, Serialize};
use workflow::{
    WaitResult, WorkflowContext, client::RunState, engine::Embedded, protocol::Webhook, workflow,
};
use workflow_engine::{Engine, EngineError, WebhookCall};
use workflow_tests::{Probe, TestApp, Told, WEBHOOKS, eventually};

const HOUR: Duration = Duration::from_secs(3600);

/// What a wait got: method, URL, the header `x-n`, and the body.
type Got = Option<(String, String, Option<String>, String)>;

#[derive(Serialize, Deserialize)]
struct Script {
    webhooks: usize,
    /// Which webhook is waited for, one wait after the other.
    waits: Vec<usize>,
}

/// Makes webhooks, is held at `made`, and waits.
#[workflow]
async fn receive(ctx: WorkflowContext<Script>, State(probe): State<Probe>) -> workflow::Result<Vec<Got>> {
    let script = ctx.request_payload();
    let made = (0..script.webhooks).map(|n| ctx.create_webhook(format!("make {n}")));
    let webhooks = futures_util::future::try_join_all(made).await?;
    ctx.run("made", async || {
        probe.hold("made").await;
        Ok(())
    })
    .await?;
    let mut all = Vec::new();
    for (n, webhook) in script.waits.iter().enumerate() {
        let got = ctx.wait_for_webhook(format!("wait {n}"), &webhooks[*webhook], HOUR).await?;
        all.push(match got {
            WaitResult::Received(request) => Some((
                request.method().to_owned(),
                request.url().to_owned(),
                request.header("x-n").map(str::to_owned),
                request.text(),
            )),
            WaitResult::TimedOut => None,
        });
    }
    Ok(all)
}

fn routes(router: Router<Probe>) -> Router<Probe> {
    router.route("/receive", post(workflow_axum::serve::<receive>()))
}

/// Starts a run, and gives its id and what its webhooks are called with: the paths below [`WEBHOOKS`].
async fn start(app: &TestApp, webhooks: usize, waits: &[usize]) -> (String, Vec<String>) {
    let script = Script { webhooks, waits: waits.to_vec() };
    let run = app.client.trigger_url("/receive", &script).await.unwrap().workflow_run_id;
    let made = app.recorded(&run, webhooks).await;
    let paths = made.iter().map(|step| {
        let webhook: Webhook = serde_json::from_str(step.out.as_deref().unwrap()).unwrap();
        let path = webhook.webhook_url.strip_prefix(WEBHOOKS).expect("below the address that was given");
        assert_eq!(path, format!("/{run}/{}", webhook.event_id));
        path.to_owned()
    });
    (run.clone(), paths.collect())
}

async fn call_with(app: &TestApp, path: &str, method: Method, body: &str) -> StatusCode {
    let uri = format!("/whatever/the/proxy/made/of/it{path}?n=1&m=%20");
    let request = Request::builder().method(method).uri(uri).header("X-N", body);
    let request = request.body(Bytes::copy_from_slice(body.as_bytes())).unwrap();
    let answer = Embedded::call_webhook(&app.engine, path, request).await;
    let expected = if answer.status() == 200 { "{}" } else { "{\"error\":\"" };
    assert!(answer.body().starts_with(expected.as_bytes()), "{answer:?}");
    answer.status()
}

async fn call(app: &TestApp, path: &str, body: &str) -> StatusCode {
    call_with(app, path, Method::POST, body).await
}

fn got(path: &str, body: &str) -> Got {
    let url = format!("{WEBHOOKS}{path}?n=1&m=%20");
    Some(("POST".to_owned(), url, Some(body.to_owned()), body.to_owned()))
}

/// 2b J.46
#[tokio::test]
async fn a_call_may_come_before_the_wait() {
    let app = TestApp::in_memory_with(routes);
    let (run, paths) = start(&app, 1, &[0]).await;
    app.probe.reached("made", 1).await;
    assert_eq!(call(&app, &paths[0], "early").await, 200);
    app.probe.open("made");
    assert_eq!(app.output::<Vec<Got>>(&run).await, [got(&paths[0], "early")]);
}

/// 2b J.47
#[tokio::test]
async fn every_call_is_received_by_one_wait_in_the_order_of_their_coming() {
    let app = TestApp::in_memory_with(routes);
    let (run, paths) = start(&app, 1, &[0; 14]).await;
    for n in 0..12 {
        assert_eq!(call(&app, &paths[0], &n.to_string()).await, 200);
    }
    app.probe.open("made");
    let event = paths[0].rsplit('/').next().unwrap();
    for n in 12..14 {
        app.waiting(event, 1).await;
        assert_eq!(call(&app, &paths[0], &n.to_string()).await, 200);
        app.waiting(event, usize::from(n < 13)).await;
    }
    let expected: Vec<_> = (0..14).map(|n| got(&paths[0], &n.to_string())).collect();
    assert_eq!(app.output::<Vec<Got>>(&run).await, expected);
}

/// 2b J.48
#[tokio::test]
async fn a_call_after_the_end_of_the_run_or_of_no_webhook_is_not_found() {
    let app = TestApp::in_memory_with(routes);
    let (run, paths) = start(&app, 1, &[]).await;
    for path in [
        format!("/{run}/evt_0123456789abcde"),
        "/wfr_none/evt_1".to_owned(),
        format!("/{run}"),
        "/".to_owned(),
    ] {
        assert_eq!(call(&app, &path, "x").await, 404, "{path}");
    }
    app.probe.open("made");
    assert_eq!(app.output::<Vec<Got>>(&run).await, []);
    assert_eq!(call(&app, &paths[0], "late").await, 404);
    assert_eq!(app.log(&run).await.workflow_state, RunState::RunSuccess);
}

/// 2b J.49
#[tokio::test]
async fn every_method_and_every_body_is_a_call() {
    let app = TestApp::in_memory_with(routes);
    let (run, paths) = start(&app, 1, &[0; 4]).await;
    app.probe.open("made");
    let methods = [Method::GET, Method::HEAD, Method::DELETE, Method::PATCH];
    let bodies =
        ["", "a=1&b=%20", "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x--", "ü\u{0}"];
    for (method, body) in methods.iter().zip(bodies) {
        let (parts, ()) = Request::builder().method(method).body(()).unwrap().into_parts();
        let mut headers = HeaderMap::new();
        headers.insert("x-n", HeaderValue::from_static("n"));
        let call = WebhookCall {
            method: parts.method,
            headers,
            proto: "http".to_owned(),
            host: "h:1".to_owned(),
            url: "/p?q".to_owned(),
            body: Bytes::from_static(body.as_bytes()),
        };
        let (id, event) = paths[0][1..].split_once('/').unwrap();
        app.engine.call_webhook(id, event, call).await.unwrap();
    }
    let expected: Vec<Got> = methods
        .iter()
        .zip(bodies)
        .map(|(method, body)| {
            Some((method.to_string(), "http://h:1/p?q".to_owned(), Some("n".to_owned()), body.to_owned()))
        })
        .collect();
    assert_eq!(app.output::<Vec<Got>>(&run).await, expected);
}

/// 2b J.50
#[tokio::test]
async fn webhooks_of_one_run_are_not_mixed_up() {
    let app = TestApp::in_memory_with(routes);
    let (run, paths) = start(&app, 3, &[2, 0, 1, 0]).await;
    app.probe.open("made");
    for (n, path) in [&paths[0], &paths[1], &paths[2], &paths[0]].into_iter().enumerate() {
        assert_eq!(call(&app, path, &n.to_string()).await, 200);
    }
    let expected = [got(&paths[2], "2"), got(&paths[0], "0"), got(&paths[1], "1"), got(&paths[0], "3")];
    assert_eq!(app.output::<Vec<Got>>(&run).await, expected);
}

#[tokio::test]
async fn a_wait_that_is_over_consumes_no_call() {
    let app = TestApp::in_memory_with(routes);
    let (run, paths) = start(&app, 1, &[0, 0]).await;
    app.probe.open("made");
    let event = paths[0].rsplit('/').next().unwrap().to_owned();
    let first = app.waiting(&event, 1).await;
    assert_eq!(first, [run.clone()]);
    app.advance(HOUR);
    eventually("the first wait is over", async || {
        let steps = app.steps(&run).await;
        steps.iter().any(|step| step.wait_timeout == Some(true)).then_some(())
    })
    .await;
    assert_eq!(call(&app, &paths[0], "second").await, 200);
    assert_eq!(app.output::<Vec<Got>>(&run).await, [None, got(&paths[0], "second")]);
}

/// Section I.16 of the protocol.
#[tokio::test]
async fn a_notification_reaches_a_wait_for_a_webhook_as_a_request() {
    let app = TestApp::in_memory_with(routes);
    let (run, paths) = start(&app, 1, &[0, 0]).await;
    let event = paths[0].rsplit('/').next().unwrap();
    assert_eq!(app.tell_run(&run, event, "stored").await.unwrap(), Told::Stored(run.clone()));
    app.probe.open("made");
    app.waiting(event, 1).await;
    assert_eq!(app.tell(event, "broadcast").await, [Told::Delivered(run.clone())]);
    let expected = ["\"stored\"", "\"broadcast\""]
        .map(|body| Some(("POST".to_owned(), "http://localhost/".to_owned(), None, body.to_owned())));
    assert_eq!(app.output::<Vec<Got>>(&run).await, expected);
}

/// 2b I.43: the sender of a call that is not stored is told so.
#[tokio::test]
async fn calls_are_not_stored_without_a_limit() {
    let app = TestApp::in_memory_with(routes);
    let (_, paths) = start(&app, 1, &[0]).await;
    for n in 0..1000 {
        assert_eq!(call(&app, &paths[0], &n.to_string()).await, 200);
    }
    assert_eq!(call(&app, &paths[0], "one too many").await, 412);
}

/// 2b G.34
#[tokio::test]
async fn a_crash_loses_neither_a_webhook_nor_its_calls() {
    let mut app = TestApp::on_file_with(routes);
    let (run, paths) = start(&app, 2, &[0, 1, 0]).await;
    app.probe.reached("made", 1).await;
    app.crash_unattached().await;
    assert_eq!(call(&app, &paths[0], "one").await, 200);
    app.crash().await;
    app.probe.open("made");
    let event = paths[1].rsplit('/').next().unwrap();
    app.waiting(event, 1).await;
    app.crash_unattached().await;
    assert_eq!(call(&app, &paths[1], "two").await, 200);
    assert_eq!(call(&app, &paths[0], "three").await, 200);
    app.crash().await;
    let expected = [got(&paths[0], "one"), got(&paths[1], "two"), got(&paths[0], "three")];
    assert_eq!(app.output::<Vec<Got>>(&run).await, expected);
}

#[tokio::test]
async fn an_engine_that_does_not_know_where_its_webhooks_are_says_how_to_tell_it() {
    let engine = Engine::in_memory().unwrap();
    let router = routes(Router::new()).with_state(Probe::default());
    let _app: Router = workflow_axum::attach(router, &engine.handle());
    let client = engine.client();
    let script = Script { webhooks: 1, waits: Vec::new() };
    let run = client.trigger_url("/receive", &script).await.unwrap().workflow_run_id;
    let log = eventually("the run ends", async || {
        client.run(&run).await.unwrap().filter(workflow::client::RunLog::is_ended)
    })
    .await;
    assert_eq!(log.workflow_state, RunState::RunFailed);
    let errors = &log.steps.last().unwrap().steps[0].errors;
    assert!(errors.len() == 1 && errors[0].error.contains("webhooks_at"), "{errors:?}");
    let refusal = Engine::builder().webhooks_at("/hooks").in_memory().err();
    assert!(matches!(refusal, Some(EngineError::Invalid(_))), "{refusal:?}");
}
