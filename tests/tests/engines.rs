//! The same workflow on two engines: embedded, where it continues in the same future from step to step, and over HTTP on a
//! development server, where every step is a signed delivery of its own. It must give the same result and do the same work.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, extract::State, routing::post};
use serde::{Deserialize, Serialize};
use workflow::{
    Client, EngineHandle, WaitResult, WorkflowContext, client::RunState, engine::HttpEngine, workflow,
};
use workflow_axum::{attach, serve};
use workflow_engine::Engine;
use workflow_server::{
    DEVELOPMENT_CURRENT_SIGNING_KEY, DEVELOPMENT_NEXT_SIGNING_KEY, DEVELOPMENT_TOKEN, DevelopmentServer,
};
use workflow_tests::{Runs, Served};

const LONG: Duration = Duration::from_secs(600);

/// Counts how often each step body has run.
#[derive(Clone, Default)]
struct Bodies(Arc<Mutex<BTreeMap<String, u32>>>);

impl Bodies {
    fn ran(&self, name: &str) -> u32 {
        let mut bodies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = bodies.entry(name.to_owned()).or_default();
        *count += 1;
        *count
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Summary {
    greeting: String,
    parallel: (u32, Option<String>, bool),
    many: Vec<u32>,
    told: usize,
    lookback: Option<u64>,
    missed: bool,
    third_time: String,
    failure: String,
    labels: Vec<String>,
    header: String,
}

/// Every kind of step, alone and in parallel.
#[workflow]
async fn tour(ctx: WorkflowContext<String>, State(bodies): State<Bodies>) -> workflow::Result<Summary> {
    let name = ctx.request_payload();
    let greeting = ctx.run("greet", async || Ok(format!("hello {name} {}", bodies.ran("greet")))).await?;
    ctx.sleep("short", Duration::from_millis(10)).await?;
    ctx.sleep_until("moment", ctx.created_at()).await?;
    let (number, event, (), timed_out) = tokio::try_join!(
        ctx.run("number", async || Ok(bodies.ran("number"))),
        ctx.wait_for_event::<String>("event", "tour-event", LONG),
        ctx.sleep("beside", Duration::from_millis(20)),
        ctx.wait_for_event::<String>("nobody", "tour-nobody", Duration::from_secs(1)),
    )?;
    let event = match event {
        WaitResult::Received(event) => Some(event),
        WaitResult::TimedOut => None,
    };
    let many = (0..20).map(|i| {
        let bodies = &bodies;
        ctx.run(format!("many-{i}"), async move || Ok(i + 100 * bodies.ran("many")))
    });
    let mut many = futures_util::future::try_join_all(many).await?;
    many.iter_mut().for_each(|value| *value %= 100);
    let told = ctx.notify("broadcast", "tour-partner", &7).await?;
    ctx.notify("to-self", "tour-self", &42_u64).run_id(ctx.workflow_run_id()).await?;
    let WaitResult::Received(lookback) = ctx.wait_for_event::<u64>("self", "tour-self", LONG).await? else {
        return Err(workflow::Error::non_retryable("the notification to itself was lost"));
    };
    let missed = ctx.wait_for_event::<u64>("again", "tour-self", Duration::from_secs(1)).await?;
    let third_time = ctx
        .run("flaky", async || match bodies.ran("flaky") {
            3 => Ok("at last".to_owned()),
            attempt => Err(workflow::Error::msg(format!("attempt {attempt}"))),
        })
        .await?;
    let failure = ctx
        .try_run("doomed", async || {
            bodies.ran("doomed");
            Err::<(), _>(workflow::Error::non_retryable("no chance"))
        })
        .await
        .err()
        .map(|failure| failure.to_string())
        .unwrap_or_default();
    Ok(Summary {
        greeting,
        parallel: (number, event, matches!(timed_out, WaitResult::TimedOut)),
        many,
        told: told.runs().count(),
        lookback: Some(lookback),
        missed: matches!(missed, WaitResult::TimedOut),
        third_time,
        failure,
        labels: ctx.labels().to_vec(),
        header: ctx
            .headers()
            .get("x-tenant")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned(),
    })
}

/// Waits to be told by the tour.
#[workflow]
async fn partner(ctx: WorkflowContext<()>) -> workflow::Result<u64> {
    match ctx.wait_for_event::<u64>("partner", "tour-partner", LONG).await? {
        WaitResult::Received(number) => Ok(number),
        WaitResult::TimedOut => Err(workflow::Error::non_retryable("nobody told")),
    }
}

/// Fails for good, between steps.
#[workflow]
async fn hopeless(ctx: WorkflowContext<()>) -> workflow::Result<()> {
    ctx.run("fine", async || Ok(())).await?;
    Err(workflow::Error::non_retryable("hopeless"))
}

fn routes(bodies: &Bodies) -> Router {
    Router::new()
        .route("/tour", post(serve::<tour>()))
        .route("/partner", post(serve::<partner>()))
        .route("/hopeless", post(serve::<hopeless>()))
        .with_state(bodies.clone())
}

/// Takes the tour, and gives what came of it and which bodies ran how often.
async fn take_tour(client: &Client, base: &str, bodies: &Bodies) -> (Summary, BTreeMap<String, u32>) {
    let partner = client.trigger_url(format!("{base}/partner"), &()).await.unwrap().workflow_run_id;
    client.waiting("tour-partner").await;
    let tour = client
        .trigger_url(format!("{base}/tour"), "Ada")
        .retry_delay("5")
        .label("blue")
        .header("x-tenant", "acme")
        .await
        .unwrap()
        .workflow_run_id;
    client.waiting("tour-event").await;
    let notified = client.notify("tour-event", "from outside").await.unwrap();
    assert_eq!(notified.len(), 1);
    assert_eq!(notified[0].workflow_run_id, tour);
    let run = client.ended(&tour).await;
    let summary = run.response().unwrap().expect("it has ended");
    assert_eq!(run.labels, ["blue"]);
    let told = client.ended(&partner).await;
    assert_eq!(told.response().unwrap(), Some(7_u64));

    let hopeless = client.trigger_url(format!("{base}/hopeless"), &()).await.unwrap().workflow_run_id;
    let failed = client.ended(&hopeless).await;
    assert_eq!(failed.workflow_state, RunState::RunFailed);
    assert!(failed.dlq_id.is_some());
    let errors: Vec<_> =
        failed.steps.iter().flat_map(|group| &group.steps).flat_map(|step| &step.errors).collect();
    assert_eq!(errors.len(), 1, "it was tried again: {failed:?}");
    assert!(errors[0].error.contains("hopeless"), "{errors:?}");

    (summary, bodies.0.lock().unwrap().clone())
}

async fn on_the_embedded_engine() -> (Summary, BTreeMap<String, u32>) {
    let bodies = Bodies::default();
    let engine = Engine::in_memory().unwrap();
    let _app = attach(routes(&bodies), &engine.handle());
    let outcome = take_tour(&engine.client(), "", &bodies).await;
    engine.shutdown().await;
    outcome
}

async fn over_http() -> (Summary, BTreeMap<String, u32>) {
    let bodies = Bodies::default();
    let folder = tempfile::tempdir().unwrap();
    let server = DevelopmentServer::open(0, &folder.path().join("dev.db")).await.unwrap();
    let engine = HttpEngine::new(&server.url(), DEVELOPMENT_TOKEN)
        .unwrap()
        .signing_keys(DEVELOPMENT_CURRENT_SIGNING_KEY, DEVELOPMENT_NEXT_SIGNING_KEY);
    let client = engine.client();
    let (end, ending) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(server.serve(async {
        let _ = ending.await;
    }));
    let app = Served::start(attach(routes(&bodies), &EngineHandle::from(engine))).await;
    let outcome = take_tour(&client, app.url(), &bodies).await;
    drop(app);
    drop(end);
    server.await.unwrap().unwrap();
    outcome
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_workflow_gives_the_same_and_does_the_same_on_both_engines() {
    let (embedded, embedded_bodies) = on_the_embedded_engine().await;
    let expected = Summary {
        greeting: "hello Ada 1".to_owned(),
        parallel: (1, Some("from outside".to_owned()), true),
        many: (0..20).collect(),
        told: 1,
        lookback: Some(42),
        missed: true,
        third_time: "at last".to_owned(),
        failure: "no chance".to_owned(),
        labels: vec!["blue".to_owned()],
        header: "acme".to_owned(),
    };
    assert_eq!(embedded, expected);
    let bodies = [("doomed", 1), ("flaky", 3), ("greet", 1), ("many", 20), ("number", 1)];
    let bodies: BTreeMap<String, u32> =
        bodies.into_iter().map(|(name, count)| (name.to_owned(), count)).collect();
    assert_eq!(embedded_bodies, bodies);

    let (over_http, over_http_bodies) = over_http().await;
    assert_eq!(over_http, expected);
    assert_eq!(over_http_bodies, bodies);
}

/// Without a valid signature no step runs.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_with_signing_keys_takes_nothing_unsigned() {
    let bodies = Bodies::default();
    let engine = HttpEngine::new("http://127.0.0.1:9", DEVELOPMENT_TOKEN)
        .unwrap()
        .signing_keys(DEVELOPMENT_CURRENT_SIGNING_KEY, DEVELOPMENT_NEXT_SIGNING_KEY);
    let app = Served::start(attach(routes(&bodies), &EngineHandle::from(engine))).await;
    let http = workflow::client::http_client_builder().unwrap().build().unwrap();
    let delivery = r#"[{"messageId":"msg_1","body":"IkFkYSI=","callType":"step"}]"#;
    for signature in [None, Some("nonsense"), Some("eyJhbGciOiJub25lIn0.e30.")] {
        let mut request = http
            .post(format!("{}/tour", app.url()))
            .header("upstash-workflow-sdk-version", "1")
            .header("upstash-workflow-runid", "wfr_x")
            .body(delivery);
        if let Some(signature) = signature {
            request = request.header("upstash-signature", signature);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 500);
        assert!(answer.text().await.unwrap().to_lowercase().contains("signature"));
    }
    assert!(bodies.0.lock().unwrap().is_empty());
}
