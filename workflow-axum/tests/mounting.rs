//! Workflows are mounted like any handler: nested, merged, beside other routes, with state and extractors.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use axum::{
    Router,
    extract::{FromRef, FromRequestParts, State},
    middleware::Next,
    routing::{get, post},
};
use common::{Deeds, Test, deeds};
use http::{Method, StatusCode, request::Parts};
use workflow::{WorkflowContext, workflow};
use workflow_axum::serve;

/// Says where it is mounted and what it was given.
#[workflow]
async fn greet(ctx: WorkflowContext<String>, State(deeds): State<Deeds>) -> workflow::Result<String> {
    let greeting = ctx.run("greet", async || Ok(format!("hello {}", ctx.request_payload()))).await?;
    deeds.tell(format!("{} {greeting}", ctx.url()));
    Ok(greeting)
}

#[derive(Clone)]
struct AppState {
    name: &'static str,
    deeds: Deeds,
}

impl FromRef<AppState> for Deeds {
    fn from_ref(state: &AppState) -> Self {
        state.deeds.clone()
    }
}

async fn name(State(state): State<AppState>) -> &'static str {
    state.name
}

#[tokio::test]
async fn a_workflow_stands_beside_other_routes_and_takes_a_part_of_their_state() {
    let (tell, mut told) = deeds();
    let app = Router::new()
        .route("/name", get(name))
        .route("/greet", get(name).post(serve::<greet>()))
        .with_state(AppState { name: "shop", deeds: tell });
    let test = Test::new(app);

    assert_eq!(test.send(Method::GET, "/name", "").await.text(), "shop");
    assert_eq!(test.send(Method::GET, "/greet", "").await.text(), "shop");
    test.post("/greet", "\"you\"").await.expect(StatusCode::OK);
    assert_eq!(told.next().await, "/greet hello you");
}

#[tokio::test]
async fn nested_and_merged_workflows_know_their_whole_path() {
    let (tell, mut told) = deeds();
    let inner = Router::new().route("/greet", post(serve::<greet>()));
    let app = Router::new()
        .nest("/api", inner.clone().with_state(tell.clone()))
        .nest("/v2", Router::new().nest("/deep", inner.clone()))
        .merge(Router::new().nest("/merged", inner).with_state(tell.clone()))
        .with_state(tell);
    let test = Test::new(app);

    for path in ["/api/greet", "/v2/deep/greet", "/merged/greet"] {
        test.post(path, "\"you\"").await.expect(StatusCode::OK);
        assert_eq!(told.next().await, format!("{path} hello you"));
    }
}

#[tokio::test]
async fn only_the_mounted_method_starts_a_run() {
    let (tell, _told) = deeds();
    let test = Test::new(Router::new().route("/greet", post(serve::<greet>())).with_state(tell));

    for method in [Method::GET, Method::PUT, Method::DELETE] {
        test.send(method, "/greet", "\"you\"").await.expect(StatusCode::METHOD_NOT_ALLOWED);
    }
    test.post("/elsewhere", "\"you\"").await.expect(StatusCode::NOT_FOUND);
    assert!(test.runs().await.is_empty());
}

/// The user, as their own extractor finds them in a header.
struct User(String);

impl<S: Sync> FromRequestParts<S> for User {
    type Rejection = (StatusCode, [(&'static str, &'static str); 1], &'static str);

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        match parts.headers.get("x-user").and_then(|user| user.to_str().ok()) {
            Some(user) => Ok(Self(user.to_owned())),
            None => Err((StatusCode::UNAUTHORIZED, [("www-authenticate", "Shop")], "who are you?")),
        }
    }
}

#[workflow]
async fn order(
    ctx: WorkflowContext<()>,
    User(user): User,
    State(deeds): State<Deeds>,
) -> workflow::Result<()> {
    ctx.sleep("let the first delivery end", std::time::Duration::from_millis(1)).await?;
    deeds.tell(user);
    Ok(())
}

#[tokio::test]
async fn an_extractor_that_rejects_answers_itself_and_no_run_starts() {
    let (tell, _told) = deeds();
    let test = Test::new(Router::new().route("/order", post(serve::<order>())).with_state(tell));

    let answer = test.post("/order", "").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert_eq!(answer.headers["www-authenticate"], "Shop");
    assert_eq!(answer.text(), "who are you?");
    assert!(test.runs().await.is_empty());
}

#[tokio::test]
async fn extractors_see_the_headers_of_the_trigger_on_every_delivery() {
    let (tell, mut told) = deeds();
    let test = Test::new(Router::new().route("/order", post(serve::<order>())).with_state(tell));

    test.request(Method::POST, "/order", &[("x-user", "ada")], "").await.expect(StatusCode::OK);
    assert_eq!(told.next().await, "ada");
    test.client.trigger_url("/order", &()).header("X-User", "grace").await.unwrap();
    assert_eq!(told.next().await, "grace");
}

/// Rejects every second request, as a database pool without free connections does.
struct Connection;

#[derive(Clone)]
struct Pool {
    asked: std::sync::Arc<std::sync::atomic::AtomicUsize>,
    deeds: Deeds,
}

impl FromRequestParts<Pool> for Connection {
    type Rejection = StatusCode;

    async fn from_request_parts(_: &mut Parts, pool: &Pool) -> Result<Self, Self::Rejection> {
        let asked = pool.asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        if asked.is_multiple_of(2) { Err(StatusCode::SERVICE_UNAVAILABLE) } else { Ok(Self) }
    }
}

#[workflow]
async fn query(ctx: WorkflowContext<()>, _: Connection, State(pool): State<Pool>) -> workflow::Result<()> {
    ctx.run("query", async || {
        pool.deeds.tell("queried".to_owned());
        Ok(())
    })
    .await
}

#[tokio::test]
async fn a_delivery_that_an_extractor_rejects_is_a_failed_attempt() {
    let (tell, mut told) = deeds();
    let pool = Pool { asked: Default::default(), deeds: tell };
    let asked = pool.asked.clone();
    let test = Test::new(Router::new().route("/query", post(serve::<query>())).with_state(pool));

    test.client.trigger_url("/query", &()).retry_delay("1").await.unwrap();
    assert_eq!(told.next().await, "queried");
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 2);
}

#[tokio::test]
async fn middleware_added_after_the_engine_is_for_requests_from_outside() {
    let (tell, mut told) = deeds();
    let mut test = Test::new(Router::new().route("/greet", post(serve::<greet>())).with_state(tell));
    test.app = test.app.layer(axum::middleware::from_fn(async |_: axum::extract::Request, _: Next| {
        StatusCode::TOO_MANY_REQUESTS
    }));

    test.post("/greet", "\"you\"").await.expect(StatusCode::TOO_MANY_REQUESTS);
    test.client.trigger_url("/greet", "you").await.unwrap();
    assert_eq!(told.next().await, "/greet hello you");
}

#[tokio::test]
async fn without_an_engine_the_answer_says_how_to_attach_one() {
    let (tell, _told) = deeds();
    let app = Router::new().route("/greet", post(serve::<greet>())).with_state(tell);
    let answer = common::send(&app, Method::POST, "/greet", &[], "\"you\"").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer.error().contains("workflow_axum::attach"), "{}", answer.text());
}
