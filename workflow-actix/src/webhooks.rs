//! The webhooks of an embedded engine as an actix-web route.

use actix_web::{HttpRequest, HttpResponse, Route, web};
use workflow::endpoint;

use crate::{
    serve::{core_request, read},
    translate,
};

/// The route of the webhooks that workflows of this app make, for any method. Mount it with the run and the webhook as the last
/// two segments of the path, and tell the engine where that is reached from outside:
///
/// ```no_run
/// use actix_web::App;
/// use workflow_actix::{attach, webhooks};
/// use workflow_engine::Engine;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = Engine::builder().webhooks_at("https://shop.example/hooks").open("shop.db")?;
/// let app = attach(|| App::new().route("/hooks/{run}/{webhook}", webhooks()), &engine.handle());
/// # Ok(()) }
/// ```
///
/// An engine over HTTP serves its webhooks itself; there the route answers with 404.
pub fn webhooks() -> Route {
    web::route().to(answer)
}

async fn answer(request: HttpRequest, body: web::Payload) -> HttpResponse {
    let method = http::Method::from_bytes(request.method().as_str().as_bytes()).unwrap_or_default();
    let answer = match read(&request, body).await {
        Ok(body) => endpoint::webhook(method, core_request(&request, body)).await,
        Err(answer) => answer,
    };
    translate::to_actix(answer)
}
