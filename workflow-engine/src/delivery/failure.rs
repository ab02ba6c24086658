//! Telling somebody that a run has failed (protocol, section A.8): a path of the app of this process, or a URL.

use std::sync::Arc;

use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use futures_util::FutureExt;
use serde::Serialize;
use workflow::{
    FlowControl,
    client::{HeaderLists, StepError},
    engine::{self, App, Retry, RunFailure},
    protocol::headers,
};

use super::{Dispatcher, http, in_process::panic_message, load::Load};
use crate::{
    command::{CallbackAnswered, CallbackOutcome, Due},
    error::EngineError,
    store::{DeadLetter, Reader, Run, RunKey, Stored, message_id},
};

/// Whether a header that somebody gave for the telling of a failure is forwarded with it: it is none that belongs to the engine,
/// to the transport, or to the protocol itself.
pub fn is_forwarded(name: &str) -> bool {
    let names_the_version = [
        headers::WORKFLOW_SDK_VERSION,
        headers::WORKFLOW_IS_FAILURE,
        headers::WORKFLOW_FAILURE_CALLBACK,
        header::CONTENT_TYPE.as_str(),
    ];
    !headers::is_engine_owned(name) && !names_the_version.iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// Whether somebody is still to be told that a run has failed.
pub(super) fn is_to_be_told(reader: &dyn Reader, run: RunKey) -> Stored<bool> {
    Ok(reader.dead_letter(run)?.is_some_and(|letter| letter.callback.is_some()))
}

/// A failure to be told.
pub(super) struct Failed {
    run: Run,
    letter: DeadLetter,
    payload: Bytes,
    /// Whom to tell.
    url: String,
}

impl Load for Failed {
    /// Reads what is to be told; `None` where there is nothing any more.
    fn read(reader: &dyn Reader, key: RunKey) -> Stored<Option<Self>> {
        let Some(run) = reader.run(key)? else { return Ok(None) };
        let Some(letter) = reader.dead_letter(key)? else { return Ok(None) };
        let Some(url) = letter.callback.as_ref().map(|callback| callback.url.clone()) else {
            return Ok(None);
        };
        let payload = reader.payload(key)?.unwrap_or_default().into();
        Ok(Some(Self { run, letter, payload, url }))
    }

    fn limits(&self) -> Option<&FlowControl> {
        self.run.config.failure_flow_control()
    }

    async fn deliver(self, dispatcher: Arc<Dispatcher>, app: Arc<dyn App>, due: Due) {
        let outcome = attempt_in_process(&dispatcher, app, &due, self).await;
        dispatcher.settled(due, outcome);
    }
}

impl Failed {
    /// The body, in the order of the protocol's fields; the same for every attempt, whatever becomes of the run's entry.
    fn body(&self, workflow_url: &str) -> Result<Vec<u8>, String> {
        let failed = &self.letter.failed;
        // Endpoints expect JSON with a message.
        let body = match failed.answer.body.as_str() {
            "" => serde_json::json!({ "error": "no answer", "message": self.letter.message() }).to_string(),
            body => body.to_owned(),
        };
        serde_json::to_vec(&Body {
            status: failed.answer.status,
            header: &failed.answer.headers,
            body: STANDARD.encode(body),
            retried: failed.retried,
            max_retries: failed.max_retries,
            dlq_id: self.letter.public_id(),
            source_message_id: message_id(failed.position),
            url: workflow_url,
            method: "POST",
            source_header: source_headers(&self.run, workflow_url, failed.position),
            source_body: STANDARD.encode(&self.payload),
            not_before: self.letter.at,
            created_at: self.letter.at,
            caller_ip: self.run.config.caller_ip.as_deref().unwrap_or_default(),
            workflow_run_id: &self.run.id,
            workflow_url,
            workflow_created_at: self.run.created_at,
        })
        .map_err(|error| format!("what is to be told of the run cannot be encoded: {error}"))
    }

    fn headers(&self, workflow_url: &str, attempt: u32) -> HeaderMap {
        let mut map = HeaderMap::new();
        let target = self.run.config.failure.as_ref();
        let own = target.map(|target| target.headers.as_slice()).unwrap_or_default();
        // The workflow itself gets the headers of its run; somebody else those that were meant for them.
        let of_the_run = if self.url == self.run.url { self.run.config.headers.as_slice() } else { &[] };
        let of_the_run = of_the_run.iter().filter(|(name, _)| {
            is_forwarded(name) && !own.iter().any(|(other, _)| other.eq_ignore_ascii_case(name))
        });
        for (name, value) in of_the_run.chain(own) {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                map.append(name, value);
            }
        }
        let retries = self.run.config.failure_retries().to_string();
        let attempt = attempt.to_string();
        let created_at = self.run.created_at.to_string();
        let message_id = self.letter.message_id();
        let labels = self.run.config.labels.join(",");
        for (name, value) in [
            (header::CONTENT_TYPE.as_str(), "application/json"),
            (header::USER_AGENT.as_str(), "Upstash-QStash"),
            (headers::MESSAGE_ID, &message_id),
            (headers::RETRIED, &attempt),
            (headers::RETRIES, &attempt),
            (headers::MAX_RETRIES, &retries),
            (headers::WORKFLOW_RUN_ID, &self.run.id),
            (headers::WORKFLOW_CREATED_AT, &created_at),
            (headers::WORKFLOW_URL, workflow_url),
            (headers::WORKFLOW_INIT, "false"),
            (headers::WORKFLOW_CALL_TYPE, "failureCall"),
            (headers::WORKFLOW_IS_FAILURE, "true"),
            (headers::WORKFLOW_FAILURE_CALLBACK, "true"),
            (headers::LABEL, &labels),
        ] {
            if let Ok(value) = HeaderValue::try_from(value)
                && !value.is_empty()
            {
                map.insert(name, value);
            }
        }
        map
    }
}

/// The body of the request that tells of a failure.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    status: u16,
    header: &'a HeaderLists,
    body: String,
    retried: u32,
    max_retries: u32,
    dlq_id: String,
    source_message_id: String,
    url: &'a str,
    method: &'a str,
    source_header: HeaderLists,
    source_body: String,
    not_before: i64,
    created_at: i64,
    #[serde(rename = "callerIP")]
    caller_ip: &'a str,
    workflow_run_id: &'a str,
    workflow_url: &'a str,
    workflow_created_at: i64,
}

/// The headers of the message that failed, without those of the user, which may hold credentials.
pub fn source_headers(run: &Run, workflow_url: &str, position: i64) -> HeaderLists {
    let content_type = run.config.content_type.clone().unwrap_or_else(|| "application/json".to_owned());
    let all = [
        (header::CONTENT_TYPE.as_str(), content_type),
        (headers::MESSAGE_ID, message_id(position)),
        (headers::WORKFLOW_CALL_TYPE, "step".to_owned()),
        (headers::WORKFLOW_CREATED_AT, run.created_at.to_string()),
        (headers::WORKFLOW_INIT, "false".to_owned()),
        (headers::WORKFLOW_RUN_ID, run.id.clone()),
        (headers::WORKFLOW_URL, workflow_url.to_owned()),
    ];
    all.into_iter().map(|(name, value)| (name.to_owned(), vec![value])).collect()
}

/// Tells the app of this process.
async fn attempt_in_process(
    dispatcher: &Dispatcher,
    app: Arc<dyn App>,
    due: &Due,
    failed: Failed,
) -> Result<(), EngineError> {
    let run = due.run;
    let outcome = call(dispatcher, app, due, failed).await;
    // During a shutdown, what has failed may have been stopped; the next start makes it again.
    if dispatcher.is_draining() && matches!(outcome, CallbackOutcome::Failed(..)) {
        return Ok(());
    }
    dispatcher.writer.submit(CallbackAnswered { id: due.id, run, outcome }).await
}

async fn call(dispatcher: &Dispatcher, app: Arc<dyn App>, due: &Due, failed: Failed) -> CallbackOutcome {
    let path = failed.url.clone();
    let request = match request(dispatcher, due, failed) {
        Ok(request) => request,
        Err(reason) => return never(reason),
    };
    match std::panic::AssertUnwindSafe(async { app.call(request).await }).catch_unwind().await {
        Ok(answer) => {
            let (parts, body) = answer.into_parts();
            let body = String::from_utf8_lossy(&body).into_owned();
            let status = parts.status.as_u16();
            if parts.status.is_success() {
                return taken(status, &parts.headers, body);
            }
            let (error, retry) = http::refused(&path, status, &parts.headers, body, dispatcher.clock.now());
            CallbackOutcome::Failed(*error, retry)
        }
        Err(panic) => {
            let error = format!("the app panicked: {}", panic_message(panic.as_ref()));
            CallbackOutcome::Failed(StepError { error, ..StepError::default() }, Retry::Backoff)
        }
    }
}

/// The request that the app gets: with a delivery for a workflow, and with the body and headers of the protocol for any other
/// route.
fn request(dispatcher: &Dispatcher, due: &Due, failed: Failed) -> Result<Request<Bytes>, String> {
    let workflow_url = dispatcher.http.urls.public(&failed.run.url);
    let body = failed.body(&workflow_url)?;
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(&failed.url)
        .body(Bytes::from(body))
        .map_err(|error| format!("the path `{}` is no path: {error}", failed.url))?;
    *request.headers_mut() = failed.headers(&workflow_url, due.attempt);
    let Failed { run, letter, payload, .. } = failed;
    let failure = RunFailure {
        status: letter.failed.answer.status,
        message: letter.message(),
        stack: letter.said("stack").unwrap_or_default(),
        dlq_id: letter.public_id(),
        headers: letter.failed.answer.headers,
    };
    let delivery = engine::Delivery { run: run.into_info(), payload, task: engine::Task::Failed(failure) };
    request.extensions_mut().insert(Arc::new(delivery));
    Ok(request)
}

/// Tells a URL.
pub(super) async fn over_http(dispatcher: Arc<Dispatcher>, due: Due) {
    let outcome = attempt(&dispatcher, &due).await;
    dispatcher.settled(due, outcome);
}

async fn attempt(dispatcher: &Dispatcher, due: &Due) -> Result<(), EngineError> {
    let run = due.run;
    let read = move |reader: &dyn Reader| Failed::read(reader, run);
    let Some(failed) = dispatcher.readers.read(read).await? else { return Ok(()) };
    // Before the turn at the origin, so that nobody else's is held up.
    let Some(permit) = dispatcher.permit(failed.limits(), due).await? else { return Ok(()) };
    let _turn = dispatcher.turn_at(&failed.url).await?;
    // Read again after the turn has come: nobody may have to be told any more.
    let Some(failed) = dispatcher.readers.read(read).await? else { return Ok(()) };
    let outcome = send(dispatcher, due, &failed).await;
    drop(permit);
    if dispatcher.is_draining() && matches!(outcome, CallbackOutcome::Failed(..)) {
        return Ok(());
    }
    dispatcher.writer.submit(CallbackAnswered { id: due.id, run, outcome }).await
}

async fn send(dispatcher: &Dispatcher, due: &Due, failed: &Failed) -> CallbackOutcome {
    let workflow_url = dispatcher.http.urls.public(&failed.run.url);
    let body = match failed.body(&workflow_url) {
        Ok(body) => body,
        Err(reason) => return never(reason),
    };
    let headers = |signature: &str| {
        let mut map = failed.headers(&workflow_url, due.attempt);
        if let Ok(signature) = HeaderValue::try_from(signature) {
            map.insert(headers::SIGNATURE, signature);
        }
        map
    };
    match http::post(dispatcher, &failed.url, body, headers).await {
        Ok(answer) => {
            let (status, map) = (answer.status().as_u16(), answer.headers().clone());
            taken(status, &map, http::beginning(answer).await)
        }
        Err((error, retry)) => CallbackOutcome::Failed(*error, retry),
    }
}

/// What an answer says that is a success.
fn taken(status: u16, answered: &HeaderMap, body: String) -> CallbackOutcome {
    let not_found = answered.get(headers::WORKFLOW_FAILURE_CALLBACK_NOTFOUND);
    if not_found.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true")) {
        return CallbackOutcome::NoFunction;
    }
    CallbackOutcome::Taken(http::step_error(String::new(), status, answered, body))
}

fn never(reason: String) -> CallbackOutcome {
    CallbackOutcome::Failed(StepError { error: reason, ..StepError::default() }, Retry::Never)
}
