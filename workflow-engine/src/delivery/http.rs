//! Deliveries to endpoints over HTTP (protocol, sections A.1 to A.5 and B.7).

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use workflow::{
    client::{HeaderLists, StepError},
    engine::Retry,
    protocol::{headers, signature},
};

use super::Dispatcher;
use crate::{
    command::{Delivered, DeliveryFailed, Due},
    error::EngineError,
    keys::SigningKeys,
    store::{Entry, Reader, Run},
    urls::Urls,
};

/// At most this many requests are open to one origin, so that a slow endpoint holds up its own deliveries only.
const MAX_OPEN_PER_ORIGIN: usize = 128;

/// An answer that asks for a longer pause than this is retried after the run's own backoff.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// As much of an answer is kept in the run's log.
const KEPT_ANSWER: usize = 64 * 1024;

/// How endpoints over HTTP are called.
pub struct HttpSettings {
    /// Makes the requests.
    pub client: reqwest::Client,
    /// Sign them.
    pub keys: Arc<RwLock<SigningKeys>>,
    /// An attempt may take this long.
    pub timeout: Duration,
    /// Where runs of this process are, for others.
    pub urls: Urls,
}

/// One entry of the array that is the body of a delivery.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Element {
    message_id: String,
    body: String,
    call_type: &'static str,
}

/// The body of a delivery: a run's history as a JSON array.
pub fn encode_history(entries: &[Entry]) -> serde_json::Result<Vec<u8>> {
    let elements: Vec<Element> = entries
        .iter()
        .map(|entry| Element {
            message_id: entry.message_id(),
            body: STANDARD.encode(&entry.data),
            call_type: "step",
        })
        .collect();
    serde_json::to_vec(&elements)
}

/// Makes one delivery.
pub(super) async fn deliver(dispatcher: Arc<Dispatcher>, due: Due) {
    let outcome = attempt(&dispatcher, &due).await;
    dispatcher.settled(due, outcome);
}

impl Dispatcher {
    /// What follows after a delivery over HTTP, whatever has come of it.
    pub(super) fn settled(self: &Arc<Self>, due: Due, outcome: Result<(), EngineError>) {
        match outcome {
            Ok(()) => {
                self.state().taken.remove(&due.id);
            }
            // The next start makes it again.
            Err(EngineError::Closed) => {}
            Err(error) => {
                tracing::error!(%error, run = due.run, "a delivery could not be settled; it is made again");
                self.state().taken.remove(&due.id);
                if matches!(error, EngineError::Store(_)) {
                    self.again(due);
                }
            }
        }
    }

    /// Waits for a turn at the origin of a URL.
    pub(super) async fn turn_at(&self, url: &str) -> Result<OwnedSemaphorePermit, EngineError> {
        let origin = url::Url::parse(url).map(|url| url.origin().ascii_serialization()).unwrap_or_default();
        let turns = turns_at(&mut self.state().origins, origin);
        turns.acquire_owned().await.map_err(|_| EngineError::Closed)
    }

    /// The key that deliveries are signed with.
    pub(super) fn signing_key(&self) -> String {
        self.http.keys.read().unwrap_or_else(PoisonError::into_inner).current.clone()
    }
}

async fn attempt(dispatcher: &Dispatcher, due: &Due) -> Result<(), EngineError> {
    let (run, position) = (due.run, due.position);
    let active = move |reader: &dyn Reader| {
        let run = reader.run(run)?.filter(Run::is_active);
        Ok(run.map(|run| (run.url, run.config.flow_control)))
    };
    let Some((url, limits)) = dispatcher.readers.read(active).await? else { return Ok(()) };
    // Before the turn at the origin, so that nobody else's is held up.
    let Some(permit) = dispatcher.permit(limits.as_ref(), due).await? else { return Ok(()) };
    let _turn = dispatcher.turn_at(&url).await?;
    // Read after the turn has come: the run may have ended while it waited.
    let found = dispatcher
        .readers
        .read(move |reader| {
            let Some(run) = reader.run(run)?.filter(Run::is_active) else { return Ok(None) };
            let entries = reader.history(run.key, position)?;
            Ok(Some((run, entries)))
        })
        .await?;
    let Some((run, entries)) = found else { return Ok(()) };
    let outcome = send(dispatcher, due, &run, &entries).await;
    drop(permit);
    if dispatcher.is_draining() && outcome.is_err() {
        return Ok(());
    }
    match outcome {
        Ok(()) => dispatcher.writer.submit(Delivered { id: due.id }).await,
        Err((error, retry)) => {
            let failed = DeliveryFailed { id: due.id, run: run.key, error: *error, retry, max_retries: None };
            dispatcher.writer.submit(failed).await
        }
    }
}

/// The turns at an origin. Origins at which nothing is open any more are forgotten when there are many.
fn turns_at(origins: &mut HashMap<String, Arc<Semaphore>>, origin: String) -> Arc<Semaphore> {
    const MANY: usize = 1024;
    if origins.len() >= MANY {
        origins.retain(|_, turns| Arc::strong_count(turns) > 1);
    }
    Arc::clone(origins.entry(origin).or_insert_with(|| Arc::new(Semaphore::new(MAX_OPEN_PER_ORIGIN))))
}

/// What is wrong, and whether it may be tried again.
pub(super) type Failed = (Box<StepError>, Retry);

async fn send(dispatcher: &Dispatcher, due: &Due, run: &Run, entries: &[Entry]) -> Result<(), Failed> {
    let body =
        encode_history(entries).map_err(|error| broken(format!("the history cannot be encoded: {error}")))?;
    let headers = |signature: &str| delivery_headers(due, run, entries.len() == 1, signature);
    let answer = post(dispatcher, &run.url, body, headers).await?;
    let (status, answered) = (answer.status().as_u16(), answer.headers());
    let checks = run.config.features.as_deref().is_some_and(|features| features.contains("WF_DetectTrigger"));
    if checks && !answered.contains_key(headers::WORKFLOW_SDK_VERSION) {
        let error = "detected a non-workflow destination for trigger/invoke. make sure you are sending the request to the \
                     correct endpoint";
        return Err((Box::new(step_error(error.to_owned(), status, answered, String::new())), Retry::Never));
    }
    Ok(())
}

pub(super) fn broken(what: String) -> Failed {
    (Box::new(StepError { error: what, ..StepError::default() }), Retry::Never)
}

/// Posts a signed body to an endpoint, and gives an answer that is a success.
pub(super) async fn post(
    dispatcher: &Dispatcher,
    url: &str,
    body: Vec<u8>,
    headers: impl FnOnce(&str) -> HeaderMap,
) -> Result<reqwest::Response, Failed> {
    let signature = signature::sign(&dispatcher.signing_key(), url, &body, dispatcher.clock.now())
        .map_err(|error| broken(format!("the delivery cannot be signed: {error}")))?;
    let request = dispatcher
        .http
        .client
        .post(url)
        .headers(headers(&signature))
        .timeout(dispatcher.http.timeout)
        .body(body);
    let answer = match request.send().await {
        Ok(answer) => answer,
        Err(error) => return Err((Box::new(no_answer(url, &error)), Retry::Backoff)),
    };
    if answer.status().is_success() {
        return Ok(answer);
    }
    let (status, answered) = (answer.status().as_u16(), answer.headers().clone());
    let text = beginning(answer).await;
    Err(refused(url, status, &answered, text, dispatcher.clock.now()))
}

/// What an answer says that is no success.
pub(super) fn refused(url: &str, status: u16, answered: &HeaderMap, text: String, now: i64) -> Failed {
    let header = |name: &str| answered.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let retry = if is_non_retryable(status, header) {
        Retry::Never
    } else {
        retry_after(header, now).map_or(Retry::Backoff, Retry::After)
    };
    let reason = match serde_json::from_str::<serde_json::Value>(&text) {
        Ok(json) => json.get("message").and_then(|message| message.as_str()).unwrap_or(&text).to_owned(),
        Err(_) => text.clone(),
    };
    let reason = match header(headers::ERROR_STEP_NAME) {
        Some(step) => format!("step `{step}` failed ({status}): {reason}"),
        None => format!("{url} answered {status}: {reason}"),
    };
    (Box::new(step_error(reason, status, answered, text)), retry)
}

/// As much of an answer's body as is kept; what breaks off is taken as far as it came.
pub(super) async fn beginning(mut answer: reqwest::Response) -> String {
    let mut body = Vec::new();
    while body.len() < KEPT_ANSWER
        && let Ok(Some(chunk)) = answer.chunk().await
    {
        body.extend_from_slice(&chunk);
    }
    body.truncate(KEPT_ANSWER);
    String::from_utf8_lossy(&body).into_owned()
}

/// Whether an answer forbids another attempt (protocol, section B.7).
pub(super) fn is_non_retryable(status: u16, header: impl Fn(&str) -> Option<String>) -> bool {
    status == 489
        && header(headers::NON_RETRYABLE_ERROR).is_some_and(|value| value.eq_ignore_ascii_case("true"))
}

/// When an answer asks to be tried again: seconds, a date, or a duration such as `6m5s`.
pub(super) fn retry_after(header: impl Fn(&str) -> Option<String>, now: i64) -> Option<Duration> {
    ["retry-after", "x-ratelimit-reset", "x-ratelimit-reset-requests", "x-ratelimit-reset-tokens"]
        .into_iter()
        .filter_map(header)
        .filter_map(|value| {
            let value = value.trim();
            workflow::protocol::duration::parse_duration(value).ok().or_else(|| {
                let at = httpdate::parse_http_date(value).ok()?.duration_since(std::time::UNIX_EPOCH).ok()?;
                Some(at.saturating_sub(Duration::from_millis(now.max(0).unsigned_abs())))
            })
        })
        .find(|pause| *pause <= LONGEST_RETRY_AFTER)
}

/// The headers that every delivery of a run carries.
pub(super) fn delivery_headers(due: &Due, run: &Run, is_first: bool, signature: &str) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in &run.config.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            map.append(name, value);
        }
    }
    let content_type = run.config.content_type.as_deref().filter(|_| is_first).unwrap_or("application/json");
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::try_from(value) {
            map.insert(name, value);
        }
    };
    set(CONTENT_TYPE.as_str(), content_type);
    set(USER_AGENT.as_str(), "Upstash-QStash");
    set(headers::SIGNATURE, signature);
    set(headers::MESSAGE_ID, &crate::store::message_id(due.position));
    set(headers::RETRIED, &due.attempt.to_string());
    set(headers::RETRIES, &due.attempt.to_string());
    set(headers::MAX_RETRIES, &run.config.max_retries().to_string());
    if let Some(expression) = &run.config.retry_delay {
        set(headers::RETRY_DELAY, expression);
    }
    if let Some(ip) = &run.config.caller_ip {
        set(headers::CALLER_IP, ip);
    }
    if let Some(limits) = &run.config.flow_control {
        set(headers::FLOW_CONTROL_KEY, &limits.key);
        set(headers::FLOW_CONTROL_VALUE, &limits.delivered_value());
    }
    set(headers::WORKFLOW_RUN_ID, &run.id);
    set(headers::WORKFLOW_CREATED_AT, &run.created_at.to_string());
    set(headers::WORKFLOW_URL, &run.url);
    set(headers::WORKFLOW_INIT, "false");
    set(headers::WORKFLOW_CALL_TYPE, "step");
    if run.config.invoke_count > 0 {
        set(headers::WORKFLOW_INVOKE_COUNT, &run.config.invoke_count.to_string());
    }
    if !run.config.labels.is_empty() {
        set(headers::LABEL, &run.config.labels.join(","));
    }
    map
}

/// What is wrong where nobody has answered.
pub(super) fn no_answer(url: &str, error: &reqwest::Error) -> StepError {
    let mut why = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        why = format!("{why}: {cause}");
        source = cause.source();
    }
    let error = format!("no answer from {url}: {why}");
    let body = serde_json::json!({ "error": "no answer", "message": error }).to_string();
    StepError { body, error, ..StepError::default() }
}

pub(super) fn step_error(error: String, status: u16, answered: &HeaderMap, body: String) -> StepError {
    let mut lists = HeaderLists::new();
    for (name, value) in answered {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        lists.entry(name.as_str().to_owned()).or_default().push(value);
    }
    StepError { error, body, headers: lists, status, time: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(name: &'static str, value: &'static str) -> Option<Duration> {
        retry_after(move |asked| (asked == name).then(|| value.to_owned()), 1_700_000_000_000)
    }

    #[test]
    fn an_answer_may_say_when_to_come_back() {
        assert_eq!(asks("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(asks("x-ratelimit-reset-tokens", "6m5s"), Some(Duration::from_secs(365)));
        assert_eq!(asks("retry-after", "Tue, 14 Nov 2023 22:13:30 GMT"), Some(Duration::from_secs(10)));
        assert_eq!(asks("retry-after", "Tue, 14 Nov 2023 22:13:10 GMT"), Some(Duration::ZERO));
    }

    #[test]
    fn origins_with_nothing_open_are_forgotten() {
        let mut origins = HashMap::new();
        let open = turns_at(&mut origins, "http://busy".to_owned());
        for number in 0..5000 {
            drop(turns_at(&mut origins, format!("http://{number}")));
        }
        assert!(origins.len() <= 1025, "{}", origins.len());
        assert!(Arc::ptr_eq(&open, &turns_at(&mut origins, "http://busy".to_owned())));
    }

    #[test]
    fn a_pause_of_more_than_a_day_or_nonsense_is_ignored() {
        assert_eq!(asks("retry-after", "86401"), None);
        assert_eq!(asks("retry-after", "soon"), None);
        assert_eq!(asks("x-other", "7"), None);
    }
}
