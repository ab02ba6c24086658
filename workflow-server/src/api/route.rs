//! Routes, found on the path as it was sent.

use http::Method;
use percent_encoding::percent_decode_str;
use workflow::{client::Revival, protocol::run_id::RUN_ID_PREFIX};

use super::{refusal::Refusal, token};

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// Publish the body to this destination.
    Publish(String),
    /// Publish several messages.
    Batch,
    /// Start a run of the workflow at this URL.
    Trigger(String),
    /// Start several runs.
    BatchTrigger,
    /// Wait for this event.
    Wait(String),
    /// Notify the waiters of this event, or one run.
    Notify { run_id: Option<String>, event: String },
    /// List the waiters of this event.
    Waiters(String),
    /// Cancel the runs that a filter selects.
    CancelRuns,
    /// End this run.
    EndRun(String),
    /// Show what is recorded of this run.
    History(String),
    /// List runs.
    Events,
    /// List runs, under the path that the documentation names.
    Logs,
    /// List flow-control keys.
    FlowControls,
    /// Show this flow-control key.
    FlowControl(String),
    /// Change this flow-control key.
    ChangeFlowControl { key: String, action: String },
    /// Show how many deliveries are being made.
    GlobalParallelism,
    /// List runs that have failed.
    DeadLetters,
    /// Show one of them.
    DeadLetter(String),
    /// Start new runs for failed ones, or for this one.
    Revive { revival: Revival, id: Option<String> },
    /// Delete entries of the dead letter queue.
    DeleteDeadLetters,
    /// Delete this one.
    DeleteDeadLetter(String),
    /// Tell of this failure again.
    RetryCallback(String),
    /// Stop telling this failure.
    CancelCallback(String),
    /// Call a webhook of a run.
    Webhook { run_id: String, event: String },
    /// Show the signing keys.
    Keys,
    /// Exchange the signing keys.
    RotateKeys,
}

pub(super) enum Found {
    Route(Route),
    /// There is something at this path, for these methods.
    WrongMethod(&'static str),
    Nothing,
}

/// Finds the route of a request by its undecoded path and query.
pub(super) fn find(method: &Method, path: &str, raw_query: &str) -> Result<Found, Refusal> {
    let Some(path) = path.strip_prefix("/v2/") else { return Ok(Found::Nothing) };
    let (first, rest) = path.split_once('/').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let post = |route: Route| only(method, &Method::POST, "POST", route);
    let get = |route: Route| only(method, &Method::GET, "GET", route);
    Ok(match (first, rest) {
        ("publish", Some(rest)) => post(Route::Publish(destination(rest, raw_query)?)),
        ("trigger", Some(rest)) => post(Route::Trigger(destination(rest, raw_query)?)),
        ("batch", None) => post(Route::Batch),
        ("batch", Some("trigger")) => post(Route::BatchTrigger),
        ("wait", Some(event)) => post(Route::Wait(id(event, "event id")?)),
        ("notify", Some(rest)) => post(notify(rest)?),
        ("waiters", Some(event)) => get(Route::Waiters(id(event, "event id")?)),
        ("flowControl", None) => get(Route::FlowControls),
        ("flowControl", Some(rest)) => match rest.split_once('/') {
            None => get(Route::FlowControl(id(rest, "flow-control key")?)),
            Some((key, action)) => post(Route::ChangeFlowControl {
                key: id(key, "flow-control key")?,
                action: id(action, "action")?,
            }),
        },
        ("globalParallelism", None) => get(Route::GlobalParallelism),
        ("keys", None) => get(Route::Keys),
        ("keys", Some("rotate")) => post(Route::RotateKeys),
        ("workflows", Some("runs")) => only(method, &Method::DELETE, "DELETE", Route::CancelRuns),
        ("workflows", Some("events")) => get(Route::Events),
        ("workflows", Some("logs")) => get(Route::Logs),
        ("dlq", None) => get(Route::DeadLetters),
        ("workflows", Some("dlq")) => match *method {
            Method::GET => Found::Route(Route::DeadLetters),
            Method::DELETE => Found::Route(Route::DeleteDeadLetters),
            _ => Found::WrongMethod("GET, DELETE"),
        },
        ("workflows", Some(rest)) if rest.starts_with("hooks/") => webhook(rest)?,
        ("workflows", Some(rest)) => match (rest.strip_prefix("runs/"), rest.strip_prefix("dlq/")) {
            (_, Some(rest)) => dead_letter(method, rest)?,
            (Some(run), None) => match *method {
                Method::GET => Found::Route(Route::History(id(run, "run id")?)),
                Method::DELETE => Found::Route(Route::EndRun(id(run, "run id")?)),
                _ => Found::WrongMethod("GET, DELETE"),
            },
            (None, None) => Found::Nothing,
        },
        _ => Found::Nothing,
    })
}

/// What follows `/v2/workflows/dlq/`.
fn dead_letter(method: &Method, rest: &str) -> Result<Found, Refusal> {
    let post = |route: Route| only(method, &Method::POST, "POST", route);
    let id = |raw: &str| id(raw, "id");
    let (first, second) = rest.split_once('/').map_or((rest, None), |(first, rest)| (first, Some(rest)));
    let revival = match first {
        "resume" => Some(Revival::Resume),
        "restart" => Some(Revival::Restart),
        _ => None,
    };
    Ok(match (revival, second) {
        (Some(revival), one) => post(Route::Revive { revival, id: one.map(id).transpose()? }),
        (None, Some(one)) if first == "callback" => match *method {
            Method::POST => Found::Route(Route::RetryCallback(id(one)?)),
            Method::DELETE => Found::Route(Route::CancelCallback(id(one)?)),
            _ => Found::WrongMethod("POST, DELETE"),
        },
        (None, Some(_)) => Found::Nothing,
        (None, None) => match *method {
            Method::GET => Found::Route(Route::DeadLetter(id(first)?)),
            Method::DELETE => Found::Route(Route::DeleteDeadLetter(id(first)?)),
            _ => Found::WrongMethod("GET, DELETE"),
        },
    })
}

fn only(method: &Method, expected: &Method, allowed: &'static str, route: Route) -> Found {
    if method == expected { Found::Route(route) } else { Found::WrongMethod(allowed) }
}

/// `{event}`, or `{run}/{event}` with lookback. Both an event id and a run id may hold a slash; what begins with `wfr_` is
/// taken for a run id.
fn notify(rest: &str) -> Result<Route, Refusal> {
    match rest.split_once('/') {
        Some((run_id, event)) if run_id.starts_with(RUN_ID_PREFIX) => {
            Ok(Route::Notify { run_id: Some(id(run_id, "run id")?), event: id(event, "event id")? })
        }
        _ => Ok(Route::Notify { run_id: None, event: id(rest, "event id")? }),
    }
}

/// `hooks/{user}/{run}/{event}`, for every method. Whose webhook it is, the run says.
fn webhook(rest: &str) -> Result<Found, Refusal> {
    let parts: Vec<&str> = rest.split('/').collect();
    match parts.as_slice() {
        [_, _, run, event] => {
            Ok(Found::Route(Route::Webhook { run_id: id(run, "run id")?, event: id(event, "event id")? }))
        }
        _ => Ok(Found::Nothing),
    }
}

/// A destination is taken as it was written, with the query of the request but without our own token.
fn destination(rest: &str, raw_query: &str) -> Result<String, Refusal> {
    if rest.is_empty() {
        return Err(Refusal::bad_request("the path ends where the URL of the workflow should follow"));
    }
    let own = |pair: &&str| pair.split('=').next() != Some(token::PARAMETER);
    let query: Vec<_> = raw_query.split('&').filter(own).filter(|pair| !pair.is_empty()).collect();
    Ok(if query.is_empty() { rest.to_owned() } else { format!("{rest}?{}", query.join("&")) })
}

/// An id may have this many bytes when it is decoded.
const MAX_ID: usize = 512;

/// Decodes an id. Its characters are the engine's to check.
fn id(raw: &str, what: &str) -> Result<String, Refusal> {
    let bad = |reason: &str| Refusal::bad_request(format!("the {what} in the path {reason}"));
    if raw.is_empty() {
        return Err(bad("is empty"));
    }
    let escapes = raw.split('%').skip(1);
    for escape in escapes {
        let digits = escape.as_bytes().get(..2).unwrap_or_default();
        if digits.len() < 2 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(bad("has a `%` that is not followed by two hexadecimal digits; write `%25` for `%`"));
        }
    }
    let decoded =
        percent_decode_str(raw).decode_utf8().map_err(|_| bad("is not UTF-8 when it is decoded"))?;
    if decoded.len() > MAX_ID {
        let length = decoded.len();
        return Err(Refusal::bad_request(format!("the {what} has {length} bytes; {MAX_ID} are allowed")));
    }
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(method: Method, path: &str, query: &str) -> Route {
        match find(&method, path, query) {
            Ok(Found::Route(route)) => route,
            Ok(Found::WrongMethod(allowed)) => panic!("{path} takes {allowed}"),
            Ok(Found::Nothing) => panic!("{path} is no route"),
            Err(refusal) => panic!("{path}: {refusal:?}"),
        }
    }

    #[test]
    fn a_destination_keeps_its_query_and_its_escapes() {
        let published = |path: &str, query: &str| match route(Method::POST, path, query) {
            Route::Publish(destination) | Route::Trigger(destination) => destination,
            other => panic!("{other:?}"),
        };
        assert_eq!(published("/v2/publish/http://app.test/run", ""), "http://app.test/run");
        assert_eq!(
            published("/v2/trigger/http://app.test/a%2Fb", "x=1&y=%20"),
            "http://app.test/a%2Fb?x=1&y=%20"
        );
        assert_eq!(published("/v2/publish/http://app.test/run", "qstash_token=t"), "http://app.test/run");
        assert_eq!(published("/v2/publish/http://a/", "x=1&qstash_token=t&y=2"), "http://a/?x=1&y=2");
    }

    #[test]
    fn an_event_id_may_hold_anything() {
        let event = |path: &str| match route(Method::POST, path, "") {
            Route::Wait(event) | Route::Notify { run_id: None, event } => event,
            other => panic!("{other:?}"),
        };
        assert_eq!(event("/v2/wait/a/b%3Fc%23d%25e%20%C3%A9"), "a/b?c#d%e é");
        assert_eq!(event("/v2/notify/user%201/verified"), "user 1/verified");
        assert_eq!(event("/v2/notify/wfr_alone"), "wfr_alone");
        assert_eq!(event("/v2/notify/wfr_a%2Fb"), "wfr_a/b");
    }

    #[test]
    fn a_run_id_before_the_event_names_one_run() {
        let expected = Route::Notify { run_id: Some("wfr_a b".to_owned()), event: "order/1".to_owned() };
        assert_eq!(route(Method::POST, "/v2/notify/wfr_a%20b/order/1", ""), expected);
    }

    #[test]
    fn a_webhook_takes_every_method() {
        let expected = Route::Webhook { run_id: "wfr_a/b".to_owned(), event: "evt_1".to_owned() };
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::HEAD] {
            assert_eq!(route(method, "/v2/workflows/hooks/user/wfr_a%2Fb/evt_1", "x=1"), expected);
        }
        let few = find(&Method::POST, "/v2/workflows/hooks/wfr_a/evt_1", "");
        assert!(matches!(few, Ok(Found::Nothing)));
    }

    #[test]
    fn ids_that_cannot_be_decoded_are_refused() {
        for path in
            ["/v2/wait/%zz", "/v2/wait/%", "/v2/wait/a%2", "/v2/wait/%ff", "/v2/wait/", "/v2/notify/wfr_a/"]
        {
            assert!(find(&Method::POST, path, "").is_err(), "{path}");
        }
    }
}
