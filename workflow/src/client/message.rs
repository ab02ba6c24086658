//! Messages as `POST /v2/batch` takes them: a destination, headers and a body.

use std::collections::BTreeMap;

use ::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use serde::Serialize;

use super::{ClientError, Trigger};
use crate::protocol::{
    duration::format_duration,
    headers::{self, FAILURE_CALLBACK_FORWARD_PREFIX, FEATURES, FORWARD_PREFIX, PROTOCOL_VERSION},
};

/// Headers of a message by lower-case name.
pub(crate) type MessageHeaders = BTreeMap<String, String>;

/// One message. Its body is text, since it travels inside JSON.
#[derive(Debug, Serialize)]
pub(crate) struct Message {
    pub(crate) destination: String,
    pub(crate) headers: MessageHeaders,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<String>,
}

/// A message that starts a run.
pub(crate) struct Init {
    pub(crate) url: String,
    pub(crate) headers: MessageHeaders,
    pub(crate) body: Bytes,
}

impl Init {
    /// The message for a trigger of the workflow at the absolute `url`.
    pub(crate) fn new(
        trigger: Trigger,
        url: String,
        run_id: &str,
        failure_url: Option<&str>,
    ) -> Result<Self, ClientError> {
        let mut headers = run_headers(run_id, &url, true);
        set(&mut headers, headers::METHOD, "POST");
        set(&mut headers, "content-type", trigger.content_type.as_deref().unwrap_or("application/json"));
        if let Some(retries) = trigger.retries {
            set(&mut headers, headers::RETRIES, retries);
        }
        if let Some(expression) = &trigger.retry_delay {
            set(&mut headers, headers::RETRY_DELAY, expression);
        }
        if let Some(limits) = &trigger.flow_control {
            set(&mut headers, headers::FLOW_CONTROL_KEY, &limits.key);
            set(&mut headers, headers::FLOW_CONTROL_VALUE, limits.value());
        }
        if let Some(fields) = trigger.redact.fields() {
            set(&mut headers, headers::REDACT_FIELDS, fields);
        }
        if let Some(delay) = trigger.delay {
            set(&mut headers, headers::DELAY, format_duration(delay));
        }
        if let Some(not_before) = trigger.not_before {
            set(&mut headers, headers::NOT_BEFORE, not_before);
        }

        let mut forwarded = forwarded_headers(&trigger.headers)?;
        if !trigger.labels.is_empty() {
            let labels = trigger.labels.join(",");
            set(&mut headers, headers::LABEL, &labels);
            set(&mut forwarded, headers::LABEL, &labels);
        }
        if let Some(failure_url) = failure_url {
            set_failure_callback(&mut headers, &url, failure_url, run_id, &forwarded);
        }
        forward(&mut headers, forwarded);
        Ok(Self { url, headers, body: trigger.body })
    }

    /// The message as an entry of a batch; the other way round if its body is no text.
    pub(crate) fn into_message(self) -> Result<Message, Self> {
        match String::from_utf8(self.body.to_vec()) {
            Ok(body) => Ok(Message {
                destination: self.url,
                headers: self.headers,
                body: Some(body).filter(|body| !body.is_empty()),
            }),
            Err(_) => Err(self),
        }
    }

    /// The headers as those of an HTTP request, for a message that is published on its own.
    pub(crate) fn header_map(&self) -> Result<HeaderMap, ClientError> {
        header_map(&self.headers)
    }
}

/// The headers of a message as those of an HTTP request.
pub(crate) fn header_map(headers: &MessageHeaders) -> Result<HeaderMap, ClientError> {
    headers.iter().map(|(name, value)| header(name, value)).collect()
}

/// What every message of a run carries.
pub(crate) fn run_headers(run_id: &str, url: &str, init: bool) -> MessageHeaders {
    let mut headers = MessageHeaders::new();
    set(&mut headers, headers::WORKFLOW_INIT, init);
    set(&mut headers, headers::WORKFLOW_RUN_ID, run_id);
    set(&mut headers, headers::WORKFLOW_URL, url);
    set(&mut headers, headers::WORKFLOW_SDK_VERSION, PROTOCOL_VERSION);
    set(&mut headers, headers::FEATURE_SET, FEATURES);
    set(&mut headers, &format!("{FORWARD_PREFIX}{}", headers::WORKFLOW_SDK_VERSION), PROTOCOL_VERSION);
    headers
}

/// Sets a header.
pub(crate) fn set(headers: &mut MessageHeaders, name: &str, value: impl ToString) {
    headers.insert(name.to_owned(), value.to_string());
}

/// A name and a value as HTTP has them.
pub(crate) fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), ClientError> {
    let bad = |what| refused(format!("the header `{name}` has {what} that HTTP does not allow"));
    let name = HeaderName::try_from(name).map_err(|_| bad("a name"))?;
    let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| bad("a value"))?;
    Ok((name, value))
}

/// Lets these headers be set on the delivery.
pub(crate) fn forward(headers: &mut MessageHeaders, forwarded: MessageHeaders) {
    for (name, value) in forwarded {
        headers.insert(format!("{FORWARD_PREFIX}{name}"), value);
    }
}

/// The user's headers by lower-case name; values of one name are joined, as HTTP does.
pub(crate) fn forwarded_headers(given: &[(String, String)]) -> Result<MessageHeaders, ClientError> {
    let mut forwarded = MessageHeaders::new();
    for (name, value) in given {
        let (name, _) = header(name, value)?;
        forwarded
            .entry(name.as_str().to_owned())
            .and_modify(|values| {
                values.push_str(", ");
                values.push_str(value);
            })
            .or_insert_with(|| value.clone());
    }
    Ok(forwarded)
}

fn set_failure_callback(
    headers: &mut MessageHeaders,
    url: &str,
    failure_url: &str,
    run_id: &str,
    forwarded: &MessageHeaders,
) {
    let of_the_run =
        [headers::RETRIES, headers::RETRY_DELAY, headers::FLOW_CONTROL_KEY, headers::FLOW_CONTROL_VALUE];
    let copied: Vec<_> = of_the_run
        .into_iter()
        .filter_map(|name| Some((name.strip_prefix("upstash-")?, headers.get(name)?.clone())))
        .collect();
    for (name, value) in copied {
        headers.insert(format!("{}-{name}", headers::FAILURE_CALLBACK), value);
    }
    set(headers, headers::FAILURE_CALLBACK, failure_url);
    for (name, value) in [
        ("feature-set", FEATURES),
        ("workflow-calltype", "failureCall"),
        ("workflow-init", "false"),
        ("workflow-runid", run_id),
        ("workflow-url", url),
    ] {
        headers.insert(format!("{}-{name}", headers::FAILURE_CALLBACK), value.to_owned());
    }
    for name in [headers::WORKFLOW_IS_FAILURE, headers::WORKFLOW_FAILURE_CALLBACK] {
        headers.insert(format!("{FAILURE_CALLBACK_FORWARD_PREFIX}{name}"), "true".to_owned());
    }
    for (name, value) in forwarded {
        headers.insert(format!("{FAILURE_CALLBACK_FORWARD_PREFIX}{name}"), value.clone());
    }
}

fn refused(message: String) -> ClientError {
    ClientError::Refused { status: 400, message }
}
