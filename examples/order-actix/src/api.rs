//! The HTTP API of the embedded engine inside of an actix app. It is a router of axum; here it is called without a server.

use actix_web::{
    HttpRequest, HttpResponse, Result,
    error::{ErrorBadRequest, ErrorInternalServerError, ErrorPayloadTooLarge},
    http::StatusCode,
    web,
};
use axum::{
    Router,
    body::{Body, to_bytes},
};
use tower::ServiceExt;

/// Hands a request over to the API.
pub async fn forward(
    request: HttpRequest,
    body: web::Payload,
    api: web::Data<Router>,
) -> Result<HttpResponse> {
    let body =
        body.to_bytes_limited(workflow_server::DEFAULT_BODY_LIMIT).await.map_err(ErrorPayloadTooLarge)??;
    let mut asked = http::Request::builder().method(request.method().as_str()).uri(request.uri().to_string());
    for (name, value) in request.headers() {
        asked = asked.header(name.as_str(), value.as_bytes());
    }
    let asked = asked.body(Body::from(body)).map_err(ErrorBadRequest)?;
    let (told, body) = match Router::clone(&api).oneshot(asked).await {
        Ok(answer) => answer.into_parts(),
        Err(never) => match never {},
    };
    let status = StatusCode::from_u16(told.status.as_u16()).map_err(ErrorInternalServerError)?;
    let mut answer = HttpResponse::build(status);
    for (name, value) in &told.headers {
        answer.append_header((name.as_str(), value.as_bytes()));
    }
    Ok(answer.body(to_bytes(body, usize::MAX).await.map_err(ErrorInternalServerError)?))
}
