//! Messages by which a step asks the engine to do something: to make an HTTP request, to run another workflow (protocol,
//! section B.4).

use bytes::Bytes;
use serde::Deserialize;
use workflow::{
    FlowControl,
    protocol::{Step, StepType, duration::parse_duration, headers},
};

use super::Message;
use crate::{
    command::Submission,
    error::EngineError,
    requests::check_url,
    retry,
    store::{CallRequest, Callback},
    urls::Urls,
};

/// Prefix of headers that describe the message by which an endpoint is told the answer to a call.
const CALLBACK_PREFIX: &str = "upstash-callback-";

/// The body of a message that invokes a workflow.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    #[serde(default)]
    body: Option<String>,
    workflow_run_id: String,
    #[serde(default)]
    workflow_run_created_at: Option<i64>,
    step: Step,
}

impl Message {
    pub(super) fn into_call(self) -> Result<Submission, EngineError> {
        check_url(&self.destination)?;
        let run_id = self.needed(headers::WORKFLOW_RUN_ID)?.to_owned();
        let step_id = self.of_callback("forward-upstash-workflow-stepid")?;
        let step_id = step_id.trim().parse().ok().filter(|id| *id > 0).ok_or_else(|| {
            EngineError::Invalid(format!("the step id of a call must be 1 or more, not `{step_id}`"))
        })?;
        let mut step =
            Step::new(step_id, self.of_callback("forward-upstash-workflow-stepname")?, StepType::Call);
        if let Ok(concurrent) = self.of_callback("forward-upstash-workflow-concurrent")?.trim().parse() {
            step.concurrent = concurrent;
        }
        let retry_delay = self.header(headers::RETRY_DELAY).map(str::to_owned);
        if let Some(expression) = &retry_delay {
            retry::check(expression).map_err(EngineError::Invalid)?;
        }
        let invalid = |name: &str, error: &dyn std::fmt::Display| {
            EngineError::Invalid(format!("the header `{name}`: {error}"))
        };
        let timeout = self
            .header(headers::TIMEOUT)
            .map(|text| parse_duration(text).map_err(|error| invalid(headers::TIMEOUT, &error)))
            .transpose()?;
        let limits = self.header(headers::FLOW_CONTROL_VALUE).unwrap_or_default();
        let flow_control = self
            .header(headers::FLOW_CONTROL_KEY)
            .map(|key| {
                FlowControl::parse(key, limits).map_err(|error| invalid(headers::FLOW_CONTROL_VALUE, &error))
            })
            .transpose()?;
        let method = self.header(headers::METHOD).unwrap_or("POST").to_ascii_uppercase();
        http::Method::from_bytes(method.as_bytes()).map_err(|error| invalid(headers::METHOD, &error))?;
        let callback = Callback {
            url: self.needed(headers::CALLBACK)?.to_owned(),
            headers: self.forwarded(&format!("{CALLBACK_PREFIX}forward-")),
            retries: self.number("upstash-callback-retries")?,
        };
        check_url(&callback.url)?;
        let mut given = self.forwarded(headers::FORWARD_PREFIX);
        let has_type = given.iter().any(|(name, _)| name == "content-type");
        if let Some(content_type) = self.header("content-type").filter(|_| !has_type) {
            given.push(("content-type".to_owned(), content_type.to_owned()));
        }
        Ok(Submission::Call {
            run_id,
            created_at: self.number(headers::WORKFLOW_CREATED_AT)?,
            delay: self.delay()?.map_or(0, |delay| i64::try_from(delay.as_millis()).unwrap_or(i64::MAX)),
            call: Box::new(CallRequest {
                step,
                method,
                headers: given,
                timeout: timeout.map(|limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)),
                retries: self.number(headers::RETRIES)?.unwrap_or(0),
                retry_delay,
                flow_control,
                callback: Some(callback),
                url: self.destination,
                body: self.body.into(),
            }),
        })
    }

    pub(super) fn into_invoke(self, urls: &Urls) -> Result<Submission, EngineError> {
        let envelope: Envelope = serde_json::from_slice(&self.body).map_err(|error| {
            EngineError::Invalid(format!("the body does not say which step of which run invokes: {error}"))
        })?;
        if envelope.step.step_id == 0 || envelope.step.step_type != StepType::Invoke {
            return Err(EngineError::Invalid(
                "a step that invokes needs the type `Invoke` and a `stepId` of 1 or more".to_owned(),
            ));
        }
        let payload = Bytes::from(envelope.body.unwrap_or_default());
        let child = Self { body: payload, ..self }.into_start(urls)?;
        Ok(Submission::Invoke {
            run_id: envelope.workflow_run_id,
            // An endpoint that was not told it says 0.
            created_at: envelope.workflow_run_created_at.filter(|at| *at > 0),
            step: Box::new(envelope.step),
            child: Box::new(child),
        })
    }

    fn needed(&self, name: &str) -> Result<&str, EngineError> {
        self.header(name).ok_or_else(|| EngineError::Invalid(format!("the header `{name}` is missing")))
    }

    fn of_callback(&self, name: &str) -> Result<&str, EngineError> {
        self.needed(&format!("{CALLBACK_PREFIX}{name}"))
    }

    /// The headers with this prefix, under the rest of their names.
    fn forwarded(&self, prefix: &str) -> Vec<(String, String)> {
        self.headers
            .iter()
            .filter_map(|(name, value)| {
                let name = name.to_ascii_lowercase();
                let name = name.strip_prefix(prefix).filter(|name| !name.is_empty())?;
                Some((name.to_owned(), value.clone()))
            })
            .collect()
    }
}
