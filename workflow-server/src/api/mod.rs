//! The REST API: authenticates a request, finds its route, and answers in JSON.
//!
//! Requests are routed here and not by axum, because paths hold ids and URLs that must be read before anything is decoded:
//! an event id may hold `/`, and a destination is taken as it was written.

mod dlq;
mod events;
mod flow_control;
mod keys;
mod publish;
mod query;
mod refusal;
mod route;
mod runs;
mod token;
mod webhook;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    Json, Router,
    body::Body,
    extract::{ConnectInfo, Request, State},
    response::{IntoResponse, Response},
    routing::any,
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header::CONTENT_LENGTH, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::{Serialize, de::DeserializeOwned};
use workflow_engine::Engine;

use self::{
    query::Query,
    refusal::Refusal,
    route::{Found, Route},
    token::Token,
};

/// How many bytes the body of a request may have, unless [`Api::body_limit`] says otherwise: 100 MiB.
pub const DEFAULT_BODY_LIMIT: usize = 100 * 1024 * 1024;

/// The API of an engine, with its settings.
pub struct Api {
    engine: Engine,
    token: Token,
    body_limit: usize,
    has_app: bool,
}

impl Api {
    /// The API of `engine` for requests with the bearer `token`.
    pub fn new(engine: Engine, token: impl Into<String>) -> Self {
        Self { engine, token: Token::new(token.into()), body_limit: DEFAULT_BODY_LIMIT, has_app: true }
    }

    /// How many bytes the body of a request may have.
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.body_limit = bytes;
        self
    }

    /// There is no app in this process: workflows are named by absolute URLs, and a path is refused.
    pub fn without_app(mut self) -> Self {
        self.has_app = false;
        self
    }

    /// The router. It claims the paths below `/v2/`. Runs are recorded with the IP address of their caller where it is served with
    /// `into_make_service_with_connect_info::<SocketAddr>()`.
    pub fn into_router(self) -> Router {
        Router::new().route("/v2/{*path}", any(handle)).with_state(Arc::new(self))
    }
}

/// A request whose sender is known, with its body.
struct Call {
    engine: Engine,
    has_app: bool,
    /// Whom it comes from, where the server knows it: it is served with axum's `into_make_service_with_connect_info`.
    caller: Option<IpAddr>,
    headers: HeaderMap,
    query: Query,
    body: Bytes,
}

impl Call {
    fn json<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        let mut json = serde_json::Deserializer::from_slice(&self.body);
        let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            Refusal::bad_request(format!("the body is not the JSON that is expected: {error}"))
        })?;
        json.end().map_err(|error| Refusal::bad_request(format!("the body is not JSON: {error}")))?;
        Ok(value)
    }

    /// A header's value, if it is there.
    fn header(&self, name: &str) -> Result<Option<&str>, Refusal> {
        let text = |value| {
            std::str::from_utf8(value)
                .map_err(|_| Refusal::bad_request(format!("the value of the header `{name}` is not UTF-8")))
        };
        self.headers.get(name).map(http::HeaderValue::as_bytes).map(text).transpose()
    }

    /// A header's value as a whole number, if it is there.
    fn header_number(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let number = |value: &str| {
            let refuse = |_| {
                Refusal::bad_request(format!("the header `{name}` must be a whole number, not `{value}`"))
            };
            value.trim().parse().map_err(refuse)
        };
        self.header(name)?.map(number).transpose()
    }
}

async fn handle(State(api): State<Arc<Api>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    match answer(&api, parts, body).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    }
}

async fn answer(api: &Api, parts: Parts, body: Body) -> Result<Response, Refusal> {
    let raw_query = parts.uri.query().unwrap_or_default();
    let found = route::find(&parts.method, parts.uri.path(), raw_query);
    if let Ok(Found::Route(Route::Webhook { run_id, event })) = &found {
        // Whoever knows the path may call it.
        let (run_id, event) = (run_id.clone(), event.clone());
        return webhook::call(api, parts, body, &run_id, &event).await;
    }
    api.token.check(&parts.headers, raw_query)?;
    let route = match found? {
        Found::Route(route) => route,
        Found::WrongMethod(allowed) => {
            return Err(Refusal::wrong_method(&parts.method, parts.uri.path(), allowed));
        }
        Found::Nothing => return Err(Refusal::no_route(&parts.method, parts.uri.path())),
    };
    let body = read(body, &parts.headers, api.body_limit).await?;
    let query = match &route {
        // The query belongs to the destination.
        Route::Publish(_) | Route::Trigger(_) => Query::default(),
        _ => Query::parse(raw_query)?,
    };
    let engine = api.engine.clone();
    let caller = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip());
    let call = Call { engine, has_app: api.has_app, caller, headers: parts.headers, query, body };
    match route {
        Route::Publish(destination) => publish::publish(call, destination).await,
        Route::Batch => publish::batch(call).await,
        Route::Trigger(destination) => publish::trigger(call, destination).await,
        Route::BatchTrigger => publish::batch_trigger(call).await,
        Route::Wait(event) => events::wait(call, event).await,
        Route::Notify { run_id, event } => events::notify(call, run_id, event).await,
        Route::Waiters(event) => events::waiters(call, event).await,
        Route::Webhook { .. } => {
            Err(Refusal::internal("a call of a webhook was taken for a request with a token"))
        }
        Route::CancelRuns => runs::cancel(call).await,
        Route::EndRun(run_id) => runs::end(call, run_id).await,
        Route::History(run_id) => runs::history(call, run_id).await,
        Route::Events => runs::events(call).await,
        Route::Logs => runs::logs(call).await,
        Route::FlowControls => flow_control::list(&call),
        Route::FlowControl(key) => flow_control::get(&call, &key),
        Route::ChangeFlowControl { key, action } => flow_control::change(call, key, action).await,
        Route::GlobalParallelism => flow_control::global(&call),
        Route::DeadLetters => dlq::list(call).await,
        Route::DeadLetter(id) => dlq::get(call, id).await,
        Route::Revive { revival, id: None } => dlq::revive(call, revival).await,
        Route::Revive { revival, id: Some(id) } => dlq::revive_one(call, revival, id).await,
        Route::DeleteDeadLetters => dlq::delete(call).await,
        Route::DeleteDeadLetter(id) => dlq::delete_one(call, id).await,
        Route::RetryCallback(id) => dlq::retry_callback(call, id).await,
        Route::CancelCallback(id) => dlq::cancel_callback(call, id).await,
        Route::Keys => Ok(keys::current(&call)),
        Route::RotateKeys => keys::rotate(call).await,
    }
}

async fn read(body: Body, headers: &HeaderMap, limit: usize) -> Result<Bytes, Refusal> {
    let declared = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|length| length > limit as u64) {
        return Err(Refusal::too_large(limit));
    }
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refusal::too_large(limit)),
        Err(error) => Err(Refusal::bad_request(format!("the body could not be read to its end: {error}"))),
    }
}

fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    (status, Json(value)).into_response()
}
