//! The webhooks of an embedded engine as an axum handler.

use axum::{
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use workflow::endpoint;

use crate::serve::{read, translate};

/// The handler of the webhooks that workflows of this app make. Mount it for any method, with the run and the webhook as the last
/// two segments of the path, and tell the engine where that is reached from outside:
///
/// ```no_run
/// use axum::{Router, routing::any};
/// use workflow_axum::{attach, webhooks};
/// use workflow_engine::Engine;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = Engine::builder().webhooks_at("https://shop.example/hooks").open("shop.db")?;
/// let app = Router::new().route("/hooks/{run}/{webhook}", any(webhooks));
/// let app = attach(app, &engine.handle());
/// # Ok(()) }
/// ```
///
/// An engine over HTTP serves its webhooks itself; there the handler answers with 404.
pub async fn webhooks(request: Request) -> Response {
    let method = request.method().clone();
    let (parts, body) = request.into_parts();
    let answer = match read(body).await {
        Ok(body) => endpoint::webhook(method, translate(parts, body)).await,
        Err(answer) => answer,
    };
    answer.map(Body::from).into_response()
}
