//! The keys that deliveries are signed with.

use axum::response::Response;
use http::StatusCode;

use super::{Call, json, refusal::Refusal};

/// `GET /v2/keys`
pub(super) fn current(call: &Call) -> Response {
    json(StatusCode::OK, &call.engine.keys())
}

/// `POST /v2/keys/rotate`
pub(super) async fn rotate(call: Call) -> Result<Response, Refusal> {
    Ok(json(StatusCode::OK, &call.engine.rotate_keys().await?))
}
