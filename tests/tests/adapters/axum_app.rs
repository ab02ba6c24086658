//! The suite's app in axum.

use std::net::TcpListener;

use axum::{
    Router,
    extract::{FromRequestParts, Request, State},
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use http::{StatusCode, header::WWW_AUTHENTICATE, request::Parts};
use tokio::{sync::oneshot, task::JoinHandle};
use workflow::{EngineHandle, WorkflowContext, workflow};
use workflow_axum::{attach, serve, serve_many, webhooks as serve_webhooks};
use workflow_tests::{
    Probe,
    adapters::{self, Act, Harness, REFUSED, REFUSES, echo},
};

workflow_tests::conformance!(Axum);

struct Axum {
    stop: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
}

impl Harness for Axum {
    async fn serve(listener: TcpListener, engine: Option<EngineHandle>, probe: Probe) -> Self {
        let app = Router::new()
            .route("/hello", get(async || "hello"))
            .route("/echo", post(serve::<echo>()))
            .route("/play", post(serve::<play>()))
            .route("/hooks/{run}/{webhook}", any(serve_webhooks))
            .route("/many/{workflow}", post(serve_many::<(echo, play)>()))
            .nest("/nested", Router::new().nest("/deep", Router::new().route("/echo", post(serve::<echo>()))))
            .layer(from_fn(refuse))
            .with_state(probe);
        let app = match engine {
            Some(engine) => attach(app, &engine),
            None => app,
        };
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = async { stopped.await.unwrap_or_default() };
        let server = tokio::spawn(axum::serve(listener, app).with_graceful_shutdown(stopped).into_future());
        Self { stop, server }
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.server.await.unwrap().unwrap();
    }
}

#[workflow]
async fn play(
    ctx: WorkflowContext<Act>,
    caller: Caller,
    State(probe): State<Probe>,
) -> workflow::Result<String> {
    adapters::play(&ctx, &caller.0, &probe).await
}

struct Caller(String);

impl FromRequestParts<Probe> for Caller {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, probe: &Probe) -> Result<Self, Response> {
        let header = parts.headers.get("x-caller").and_then(|caller| caller.to_str().ok());
        adapters::caller(header, probe).map(Self).map_err(|rejection| {
            let status = StatusCode::from_u16(rejection.status).unwrap();
            (status, [(WWW_AUTHENTICATE, rejection.challenge)], rejection.body).into_response()
        })
    }
}

async fn refuse(request: Request, next: Next) -> Response {
    if request.headers().contains_key(REFUSES) {
        return StatusCode::from_u16(REFUSED).unwrap().into_response();
    }
    next.run(request).await
}
