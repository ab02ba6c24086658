//! HTTP requests that the engine makes for runs, and telling endpoints over HTTP what they were answered (protocol, section A.7).

use std::{sync::Arc, time::Duration};

use reqwest::{
    Method,
    header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT},
};
use workflow::{
    client::HeaderLists,
    engine::Retry,
    protocol::{
        headers::{self, title_case},
        signature,
    },
};

use super::{Dispatcher, http};
use crate::{
    command::{CallAnswer, CallMade, CallTold, DeliveryFailed, Due},
    error::EngineError,
    store::{CallRequest, Entry, Identity, Run, StepRequest, message_id},
};

/// The body of an answer may have this many bytes: 10 MiB.
const MAX_ANSWER: usize = 10 * 1024 * 1024;

/// Makes a request.
pub(super) async fn make(dispatcher: Arc<Dispatcher>, due: Due) {
    let outcome = attempt(&dispatcher, &due).await;
    dispatcher.settled(due, outcome);
}

async fn attempt(dispatcher: &Dispatcher, due: &Due) -> Result<(), EngineError> {
    let Some((run, call)) = request_of(dispatcher, due).await? else { return Ok(()) };
    let Some(permit) = dispatcher.permit(call.flow_control.as_ref(), due).await? else { return Ok(()) };
    let _turn = dispatcher.turn_at(&call.url).await?;
    // Read again after the turn has come: the run may have ended while it waited.
    if request_of(dispatcher, due).await?.is_none() {
        return Ok(());
    }
    let (answer, retry) = send(dispatcher, due, &call).await;
    drop(permit);
    if dispatcher.is_draining() && !(200..300).contains(&answer.status) {
        return Ok(());
    }
    dispatcher.writer.submit(CallMade { id: due.id, run: run.key, answer, retry }).await
}

/// The run and its request; `None` if the run has ended.
async fn request_of(
    dispatcher: &Dispatcher,
    due: &Due,
) -> Result<Option<(Run, Box<CallRequest>)>, EngineError> {
    let (run, position) = (due.run, due.position);
    dispatcher
        .readers
        .read(move |reader| {
            let Some(run) = reader.run(run)?.filter(Run::is_active) else { return Ok(None) };
            let Some(entry) = reader.entry_at(position)? else { return Ok(None) };
            match serde_json::from_slice(&entry.data)? {
                StepRequest::Call(call) => Ok(Some((run, call))),
                StepRequest::Invoke { .. } => Ok(None),
            }
        })
        .await
}

/// Sends the request once. Whatever comes of it is an answer.
async fn send(dispatcher: &Dispatcher, due: &Due, call: &CallRequest) -> (CallAnswer, Retry) {
    let key = dispatcher.signing_key();
    let signature = match signature::sign(&key, &call.url, &call.body, dispatcher.clock.now()) {
        Ok(signature) => signature,
        Err(error) => {
            return (
                no_answer(502, "not sent", format!("the request cannot be signed: {error}")),
                Retry::Never,
            );
        }
    };
    let Ok(method) = Method::from_bytes(call.method.as_bytes()) else {
        return (no_answer(502, "not sent", format!("`{}` is no HTTP method", call.method)), Retry::Never);
    };
    let longest = dispatcher.http.timeout;
    let timeout = call.timeout.map_or(longest, |limit| longest.min(Duration::from_millis(limit)));
    let request = dispatcher
        .http
        .client
        .request(method, &call.url)
        .headers(call_headers(due, call, &signature))
        .timeout(timeout)
        .body(call.body.clone());
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) => return (of_error(&call.url, &error), Retry::Backoff),
    };
    let status = answer.status().as_u16();
    let answered = answer.headers().clone();
    let header = |name: &str| answered.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let retry = if http::is_non_retryable(status, header) {
        Retry::Never
    } else {
        http::retry_after(header, dispatcher.clock.now()).map_or(Retry::Backoff, Retry::After)
    };
    match whole(answer).await {
        Ok(Some(body)) => {
            let error = format!("{} answered {status}", call.url);
            (CallAnswer { status, headers: shown(&answered), body, error }, retry)
        }
        Ok(None) => {
            let why = format!("{} answered {status} with a body of more than {MAX_ANSWER} bytes", call.url);
            (no_answer(502, "the answer is too large", why), Retry::Never)
        }
        Err(error) => (of_error(&call.url, &error), Retry::Backoff),
    }
}

/// The body of an answer, unless it is too large.
async fn whole(mut answer: reqwest::Response) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// What stands for an answer where nobody has answered.
fn of_error(url: &str, error: &reqwest::Error) -> CallAnswer {
    let why = http::no_answer(url, error).error;
    if error.is_timeout() && !error.is_connect() {
        no_answer(504, "no answer in time", why)
    } else {
        no_answer(502, "no answer", why)
    }
}

fn no_answer(status: u16, error: &str, message: String) -> CallAnswer {
    let headers = HeaderLists::from([("Content-Type".to_owned(), vec!["application/json".to_owned()])]);
    let body = serde_json::json!({ "error": error, "message": message }).to_string().into_bytes();
    CallAnswer { status, headers, body, error: message }
}

/// The headers of a request: those that the step gives, and what every message of the engine carries. None of the run's own.
fn call_headers(due: &Due, call: &CallRequest, signature: &str) -> HeaderMap {
    let mut map = HeaderMap::new();
    map.insert(USER_AGENT, HeaderValue::from_static("Upstash-QStash"));
    let mut given = HeaderMap::new();
    for (name, value) in &call.headers {
        let is_owned = headers::is_engine_owned(name) && !name.eq_ignore_ascii_case(USER_AGENT.as_str());
        if !is_owned && let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value))
        {
            given.append(name, value);
        }
    }
    map.extend(given);
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::try_from(value) {
            map.insert(name, value);
        }
    };
    set(headers::SIGNATURE, signature);
    set(headers::MESSAGE_ID, &message_id(due.position));
    set(headers::RETRIED, &due.attempt.to_string());
    map
}

/// The headers of an answer, in the case in which the hosted service shows them: `Content-Type`.
fn shown(answered: &HeaderMap) -> HeaderLists {
    let mut lists = HeaderLists::new();
    for (name, value) in answered {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        lists.entry(title_case(name.as_str())).or_default().push(value);
    }
    lists
}

/// Tells an endpoint over HTTP what a request was answered.
pub(super) async fn tell(dispatcher: Arc<Dispatcher>, due: Due) {
    let outcome = attempt_to_tell(&dispatcher, &due).await;
    dispatcher.settled(due, outcome);
}

async fn attempt_to_tell(dispatcher: &Dispatcher, due: &Due) -> Result<(), EngineError> {
    let Some((run, call, _)) = answer_of(dispatcher, due).await? else { return Ok(()) };
    let Some(callback) = &call.callback else { return Ok(()) };
    let limits = run.config.flow_control.as_ref();
    let Some(permit) = dispatcher.permit(limits, due).await? else { return Ok(()) };
    let _turn = dispatcher.turn_at(&callback.url).await?;
    // Read again after the turn has come: the run may have ended while it waited.
    let Some((run, call, answer)) = answer_of(dispatcher, due).await? else { return Ok(()) };
    let Some(callback) = &call.callback else { return Ok(()) };
    let headers = |signature: &str| {
        let mut map = http::delivery_headers(due, &run, false, signature);
        // With it the endpoint would take the body for a history.
        map.remove(headers::WORKFLOW_SDK_VERSION);
        map.insert(headers::WORKFLOW_CALL_TYPE, HeaderValue::from_static("fromCallback"));
        for (name, value) in &callback.headers {
            if !headers::is_engine_owned(name)
                && !name.eq_ignore_ascii_case(CONTENT_TYPE.as_str())
                && let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value))
            {
                map.insert(name, value);
            }
        }
        map
    };
    let outcome = http::post(dispatcher, &callback.url, answer.data, headers).await;
    drop(permit);
    if dispatcher.is_draining() && outcome.is_err() {
        return Ok(());
    }
    let max_retries = callback.retries;
    match outcome {
        Ok(_) => dispatcher.writer.submit(CallTold { id: due.id, run: run.key, max_retries }).await,
        Err((error, retry)) => {
            let failed = DeliveryFailed { id: due.id, run: run.key, error: *error, retry, max_retries };
            dispatcher.writer.submit(failed).await
        }
    }
}

/// The run, its request and the answer to it; `None` if the run has ended.
async fn answer_of(
    dispatcher: &Dispatcher,
    due: &Due,
) -> Result<Option<(Run, Box<CallRequest>, Entry)>, EngineError> {
    let (run, position) = (due.run, due.position);
    dispatcher
        .readers
        .read(move |reader| {
            let Some(run) = reader.run(run)?.filter(Run::is_active) else { return Ok(None) };
            let Some(answer) = reader.entry_at(position)? else { return Ok(None) };
            let Identity::Answer(step) = Identity::of(answer.code) else { return Ok(None) };
            let requests = reader.requests(run.key)?;
            let Some(request) = requests.iter().find(|entry| entry.code == Identity::Request(step).code())
            else {
                return Ok(None);
            };
            match serde_json::from_slice(&request.data)? {
                StepRequest::Call(call) => Ok(Some((run, call, answer))),
                StepRequest::Invoke { .. } => Ok(None),
            }
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(headers: &[(&str, &str)]) -> CallRequest {
        CallRequest {
            step: workflow::protocol::Step::new(1, "call", workflow::protocol::StepType::Call),
            url: "http://third.test/".to_owned(),
            method: "GET".to_owned(),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            body: Vec::new(),
            timeout: None,
            retries: 0,
            retry_delay: None,
            flow_control: None,
            callback: None,
        }
    }

    #[test]
    fn a_request_has_the_headers_of_its_step_but_none_of_the_transport() {
        let due = Due {
            id: 1,
            kind: crate::store::DeliveryKind::Call,
            run: 1,
            position: 7,
            attempt: 2,
            fresh: None,
        };
        let given = [
            ("X-Two", "a"),
            ("x-two", "b"),
            ("User-Agent", "mine"),
            ("Content-Length", "99"),
            ("Upstash-Signature", "forged"),
            ("bad name", "x"),
        ];
        let map = call_headers(&due, &call(&given), "signed");
        assert_eq!(map.get_all("x-two").iter().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(map["user-agent"], "mine");
        assert_eq!(map["upstash-signature"], "signed");
        assert_eq!(
            (&map["upstash-message-id"], &map["upstash-retried"]),
            (&"msg_7".parse().unwrap(), &"2".parse().unwrap())
        );
        assert!(!map.contains_key("content-length"));
        assert_eq!(call_headers(&due, &call(&[]), "s")["user-agent"], "Upstash-QStash");
    }
}
