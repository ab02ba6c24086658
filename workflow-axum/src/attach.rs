//! Ties an app and an engine together.

use std::sync::Arc;

use axum::{Extension, Router, body::Body, response::IntoResponse};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use tower::Service;
use workflow::{
    endpoint,
    engine::{App, BoxFuture, EngineHandle},
};

/// Attaches an app to the engine that runs its workflows.
///
/// Every workflow mounted in `router`, also in routers nested in it, then belongs to `engine`. An embedded engine delivers
/// through the app from now on: each delivery is a request that passes the middleware and extractors of `router`. Runs that
/// were left over from an earlier process go on at once, so attach when all workflows are mounted.
///
/// What is added to the returned router is for requests from outside alone. That is the place for routes that are no
/// workflows, and for middleware that deliveries should not pass, such as a limit on the rate of requests:
///
/// ```
/// # use axum::{Router, http::StatusCode, middleware, routing::{get, post}};
/// # use workflow::{EngineHandle, WorkflowContext, workflow};
/// # use workflow_axum::{attach, serve};
/// # #[workflow]
/// # async fn order(_ctx: WorkflowContext<()>) -> workflow::Result<()> { Ok(()) }
/// # async fn limit_rate(request: axum::extract::Request, next: middleware::Next) -> axum::response::Response {
/// #     next.run(request).await
/// # }
/// # fn build(engine: &EngineHandle) -> Router {
/// let workflows = Router::new().route("/api/order", post(serve::<order>()));
/// attach(workflows, engine)
///     .route("/health", get(StatusCode::OK))
///     .layer(middleware::from_fn(limit_rate))
/// # }
/// ```
pub fn attach(router: Router, engine: &EngineHandle) -> Router {
    let router = router.layer(Extension(engine.clone()));
    engine.attach(Arc::new(RouterApp(router.clone())));
    router
}

/// The app as the engine sees it. Cloning a router is cheap: it shares its routes.
struct RouterApp(Router);

impl App for RouterApp {
    fn call(&self, request: Request<Bytes>) -> BoxFuture<'static, Response<Bytes>> {
        // A router is always ready.
        let answer = self.0.clone().call(request.map(Body::from));
        Box::pin(async move {
            let (parts, body) = answer.await.into_response().into_parts();
            match body.collect().await {
                Ok(body) => Response::from_parts(parts, body.to_bytes()),
                Err(error) => endpoint::rejected(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    &format!("the app's answer with status {} broke off: {error}", parts.status),
                ),
            }
        })
    }
}
