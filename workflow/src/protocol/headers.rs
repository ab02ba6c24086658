//! The headers of the protocol: their names, and which headers belong to whom.
//!
//! Names are lower-case, as [`http::HeaderName`] stores them. Headers that the user gave at the trigger travel as
//! `Upstash-Forward-<name>` on messages and under their own name on deliveries; everything else on a delivery belongs to the
//! engine or to the transport and is never passed on.

/// JWT over the body of a delivery.
pub const SIGNATURE: &str = "upstash-signature";
/// Id of the delivered message.
pub const MESSAGE_ID: &str = "upstash-message-id";
/// On a delivery: failed attempts so far.
pub const RETRIED: &str = "upstash-retried";
/// On a message: how often a failed delivery is repeated.
pub const RETRIES: &str = "upstash-retries";
/// On a delivery: how often it is repeated at most.
pub const MAX_RETRIES: &str = "upstash-max-retries";
/// Expression for the delay before a repetition, in milliseconds.
pub const RETRY_DELAY: &str = "upstash-retry-delay";
/// HTTP method of the delivery.
pub const METHOD: &str = "upstash-method";
/// Deliver this much later (a duration).
pub const DELAY: &str = "upstash-delay";
/// Deliver at this time (unix seconds); wins over [`DELAY`].
pub const NOT_BEFORE: &str = "upstash-not-before";
/// Limit of one delivery attempt (a duration).
pub const TIMEOUT: &str = "upstash-timeout";
/// Labels of the run, separated by commas.
pub const LABEL: &str = "upstash-label";
/// What the sender of a message understands.
pub const FEATURE_SET: &str = "upstash-feature-set";
/// A second message with the same id is not delivered.
pub const DEDUPLICATION_ID: &str = "upstash-deduplication-id";
/// Key of a flow-control limit.
pub const FLOW_CONTROL_KEY: &str = "upstash-flow-control-key";
/// Values of a flow-control limit.
pub const FLOW_CONTROL_VALUE: &str = "upstash-flow-control-value";
/// Fields to be hidden in listings.
pub const REDACT_FIELDS: &str = "upstash-redact-fields";
/// Where the result of a call is delivered.
pub const CALLBACK: &str = "upstash-callback";
/// Where the failure of a run is delivered.
pub const FAILURE_CALLBACK: &str = "upstash-failure-callback";
/// Address of whoever published a message.
pub const CALLER_IP: &str = "upstash-caller-ip";
/// Region of the engine.
pub const REGION: &str = "upstash-region";

/// Id of the run.
pub const WORKFLOW_RUN_ID: &str = "upstash-workflow-runid";
/// When the run was created, in milliseconds since the Unix epoch.
pub const WORKFLOW_CREATED_AT: &str = "upstash-workflow-createdat";
/// URL of the workflow.
pub const WORKFLOW_URL: &str = "upstash-workflow-url";
/// Whether the message starts a run.
pub const WORKFLOW_INIT: &str = "upstash-workflow-init";
/// Kind of message: `step` (also if absent), `toCallback`, `fromCallback`, `failureCall`.
pub const WORKFLOW_CALL_TYPE: &str = "upstash-workflow-calltype";
/// Version of the protocol. A request without it is a first invocation.
pub const WORKFLOW_SDK_VERSION: &str = "upstash-workflow-sdk-version";
/// Name and version of the SDK that answered.
pub const WORKFLOW_SDK: &str = "upstash-workflow-sdk";
/// How deep the run is nested in invocations of other runs.
pub const WORKFLOW_INVOKE_COUNT: &str = "upstash-workflow-invoke-count";
/// The trigger was made by a sender that does not know the SDK of the endpoint.
pub const WORKFLOW_UNKNOWN_SDK: &str = "upstash-workflow-unknown-sdk";
/// The message starts a run for another run, which waits for its end.
pub const WORKFLOW_INVOKE: &str = "upstash-workflow-invoke";
/// The message starts a run that was triggered by a sender that does not know the SDK of the endpoint.
pub const WORKFLOW_TRIGGER_BY_SDK: &str = "upstash-workflow-trigger-by-sdk";
/// On the result of a call: the position of its step.
pub const WORKFLOW_STEP_ID: &str = "upstash-workflow-stepid";
/// On the result of a call: the name of its step.
pub const WORKFLOW_STEP_NAME: &str = "upstash-workflow-stepname";
/// On the result of a call: the type of its step.
pub const WORKFLOW_STEP_TYPE: &str = "upstash-workflow-steptype";
/// On the result of a call: how many steps its parallel group has.
pub const WORKFLOW_CONCURRENT: &str = "upstash-workflow-concurrent";
/// On the result of a call: the content type of the request.
pub const WORKFLOW_CONTENT_TYPE: &str = "upstash-workflow-contenttype";
/// The delivery is the result of a call.
pub const WORKFLOW_CALLBACK: &str = "upstash-workflow-callback";
/// The delivery tells of a failed run.
pub const WORKFLOW_IS_FAILURE: &str = "upstash-workflow-is-failure";
/// The delivery tells of a failed run (newer spelling, sent beside [`WORKFLOW_IS_FAILURE`]).
pub const WORKFLOW_FAILURE_CALLBACK: &str = "upstash-workflow-failure-callback";
/// Answer to a failure delivery: the endpoint has no failure function.
pub const WORKFLOW_FAILURE_CALLBACK_NOTFOUND: &str = "upstash-workflow-failure-callback-notfound";
/// Answer to a delivery: never try again.
pub const NON_RETRYABLE_ERROR: &str = "upstash-nonretryable-error";
/// Answer to a delivery: name of the step that failed.
pub const ERROR_STEP_NAME: &str = "upstash-error-step-name";

/// On a message: name and version of the SDK that sent it.
pub const TELEMETRY_SDK: &str = "upstash-telemetry-sdk";
/// On a message: the language and platform of its sender.
pub const TELEMETRY_RUNTIME: &str = "upstash-telemetry-runtime";

/// Prefix of headers to be set on the delivery of a message.
pub const FORWARD_PREFIX: &str = "upstash-forward-";
/// Prefix of headers to be set on the delivery of the result of a call.
pub const CALLBACK_FORWARD_PREFIX: &str = "upstash-callback-forward-";
/// Prefix of headers to be set on the delivery of a failure.
pub const FAILURE_CALLBACK_FORWARD_PREFIX: &str = "upstash-failure-callback-forward-";

/// The version of the protocol that is spoken here.
pub const PROTOCOL_VERSION: &str = "1";
/// What endpoints and clients of this crate understand, for [`FEATURE_SET`].
pub const FEATURES: &str = "LazyFetch,InitialBody,WF_DetectTrigger,WF_TriggerOnConfig";
/// What a request to anybody asks of the engine that makes it (`context.call`), for [`FEATURE_SET`].
pub const CALL_FEATURES: &str = "WF_NoDelete,InitialBody";

/// Headers that an engine or the transport sets on a delivery, so that forwarded values of them must not count.
const ENGINE_OWNED: &[&str] = &[
    "accept-encoding",
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "upstash-caller-ip",
    "upstash-flow-control-key",
    "upstash-flow-control-value",
    "upstash-max-retries",
    "upstash-message-id",
    "upstash-region",
    "upstash-retried",
    "upstash-retries",
    "upstash-retry-delay",
    "upstash-schedule-id",
    "upstash-signature",
    "upstash-topic-name",
    "upstash-workflow-calltype",
    "upstash-workflow-createdat",
    "upstash-workflow-init",
    "upstash-workflow-runid",
    "upstash-workflow-url",
    "user-agent",
];

/// Headers that content delivery networks and hosting platforms add to every request.
const PLATFORM: &[&str] =
    &["cdn-loop", "cf-connecting-ip", "cf-ew-via", "cf-ray", "render-proxy-ttl", "upstash-region"];
const PLATFORM_PREFIXES: &[&str] = &["upstash-workflow-", "x-forwarded-", "x-vercel-"];

/// The name under which a message's header is to be delivered: `Upstash-Forward-X-User` gives `X-User`.
pub fn forwarded(name: &str) -> Option<&str> {
    strip_prefix_ignore_case(name, FORWARD_PREFIX).filter(|rest| !rest.is_empty())
}

/// The name under which a message's header is to be delivered with a failure: `Upstash-Failure-Callback-Forward-X-User` gives
/// `X-User`.
pub fn forwarded_to_failure(name: &str) -> Option<&str> {
    strip_prefix_ignore_case(name, FAILURE_CALLBACK_FORWARD_PREFIX).filter(|rest| !rest.is_empty())
}

/// Whether the engine or the transport sets this header on a delivery. Forwarded values of such headers are ignored: they
/// come from senders that pass on every header they received.
pub fn is_engine_owned(name: &str) -> bool {
    contains_ignore_case(ENGINE_OWNED, name)
}

/// Whether a header of a delivery is shown to the workflow as one of its own.
pub fn is_users(name: &str) -> bool {
    !contains_ignore_case(PLATFORM, name)
        && !PLATFORM_PREFIXES.iter().any(|prefix| strip_prefix_ignore_case(name, prefix).is_some())
}

/// Whether a header of the request that starts a run is passed on to the run's deliveries: the user's own headers and the
/// label, but nothing of the transport, of the engine, or of the body, which is encoded anew.
pub fn is_passed_on(name: &str) -> bool {
    let of_the_engine =
        strip_prefix_ignore_case(name, "upstash-").is_some() && !name.eq_ignore_ascii_case(LABEL);
    is_users(name) && !of_the_engine && !is_engine_owned(name) && !name.eq_ignore_ascii_case("content-type")
}

/// A name in the spelling that people and bodies see, where no transport normalises it: `x-user` as `X-User`.
pub fn title_case(name: &str) -> String {
    let mut starts = true;
    let shown = |letter: char| {
        let is_first = std::mem::replace(&mut starts, letter == '-');
        if is_first { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() }
    };
    name.chars().map(shown).collect()
}

fn contains_ignore_case(names: &[&str], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}

fn strip_prefix_ignore_case<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = name.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwarded_names_are_found_in_any_case() {
        assert_eq!(forwarded("Upstash-Forward-X-User"), Some("X-User"));
        assert_eq!(forwarded("upstash-forward-authorization"), Some("authorization"));
        assert_eq!(forwarded("Upstash-Forward-"), None);
        assert_eq!(forwarded("Upstash-Forwar"), None);
        assert_eq!(forwarded("ü"), None);
    }

    #[test]
    fn names_are_shown_in_title_case() {
        assert_eq!(title_case("x-rate-limit"), "X-Rate-Limit");
        assert_eq!(title_case("etag"), "Etag");
        assert_eq!(title_case("X-USER-id"), "X-User-Id");
    }

    #[test]
    fn the_users_headers_are_told_from_those_of_platforms_and_of_the_protocol() {
        for name in ["authorization", "X-User", "content-type", "Upstash-Label", "upstash-message-id", "host"]
        {
            assert!(is_users(name), "{name}");
        }
        for name in [
            "Upstash-Workflow-RunId",
            "x-vercel-id",
            "X-Forwarded-For",
            "CF-Ray",
            "upstash-region",
            "cdn-loop",
        ] {
            assert!(!is_users(name), "{name}");
        }
    }

    #[test]
    fn nothing_of_the_transport_or_the_engine_is_passed_on() {
        for name in ["authorization", "x-user", "Upstash-Label", "cookie", "traceparent"] {
            assert!(is_passed_on(name), "{name}");
        }
        for name in [
            "Host",
            "content-length",
            "connection",
            "content-type",
            "upstash-signature",
            "Upstash-Message-Id",
            "upstash-retried",
            "upstash-workflow-runid",
            "upstash-telemetry-sdk",
            "x-forwarded-for",
            "transfer-encoding",
        ] {
            assert!(!is_passed_on(name), "{name}");
        }
    }
}
