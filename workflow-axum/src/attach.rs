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
/// through the app from now on: each delivery is a request that passes the app's middleware and extractors. Runs that were
/// left over from an earlier process go on at once, so attach when the app is complete. Routes that are added to the
/// returned router afterwards are not reached.
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
