//! Messages as they come over HTTP, and what their headers say (protocol, sections B.1 to B.4).

mod asking;

use std::time::Duration;

use bytes::Bytes;
use workflow::{
    FlowControl,
    client::Redact,
    protocol::{Step, StepType, duration::parse_duration, headers, run_id::run_id_of},
};

use crate::{
    command::{StartRun, Submission},
    delivery::failure,
    error::EngineError,
    limits::{check_id, check_labels},
    retry,
    store::{FailureTarget, RunConfig},
    urls::Urls,
};

/// A message to be published.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// Where it is delivered.
    pub destination: String,
    /// Its headers, in any case.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Bytes,
    /// IP address of its sender, where it is known.
    pub caller_ip: Option<String>,
}

impl Message {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    fn says(&self, name: &str) -> bool {
        self.header(name).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Understands the message. A message without any workflow header starts a run, as `/v2/trigger` does.
    pub(crate) fn into_submission(self, urls: &Urls) -> Result<Submission, EngineError> {
        if self.header("upstash-cron").is_some() {
            return Err(EngineError::Refused("schedules are not supported by this engine yet".to_owned()));
        }
        match self.header(headers::WORKFLOW_CALL_TYPE) {
            Some("toCallback") => return self.into_call(),
            None | Some("step") => {}
            Some(other) => {
                return Err(EngineError::Refused(format!(
                    "messages of the type `{other}` are not taken from outside"
                )));
            }
        }
        if self.says("upstash-workflow-invoke") {
            return self.into_invoke(urls);
        }
        let run_id = self.header(headers::WORKFLOW_RUN_ID);
        match (run_id, self.header(headers::WORKFLOW_INIT)) {
            (Some(run_id), Some(init)) if !init.eq_ignore_ascii_case("true") => {
                let run_id = run_id.to_owned();
                self.into_step(run_id)
            }
            (None, Some(init)) if !init.eq_ignore_ascii_case("true") => {
                Err(EngineError::Invalid(format!("the header `{}` is missing", headers::WORKFLOW_RUN_ID)))
            }
            _ => self.into_start(urls).map(|start| Submission::Start(Box::new(start))),
        }
    }

    /// Understands the message as the trigger of a run.
    pub(crate) fn into_start(self, urls: &Urls) -> Result<StartRun, EngineError> {
        let id = self.header(headers::WORKFLOW_RUN_ID).map(run_id_of);
        if let Some(id) = &id {
            check_id("run id", id)?;
        }
        let retries = self.number(headers::RETRIES)?;
        let retry_delay = self.header(headers::RETRY_DELAY).map(str::to_owned);
        if let Some(expression) = &retry_delay {
            retry::check(expression).map_err(EngineError::Invalid)?;
        }
        let not_before = self.number::<i64>(headers::NOT_BEFORE)?.map(|seconds| seconds.saturating_mul(1000));
        let labels = labels(self.header(headers::LABEL))?;
        let redact = self.header(headers::REDACT_FIELDS).map(Redact::parse).unwrap_or_default();
        let flow_control = self.flow_control()?;
        let invoke_count = self.number("upstash-forward-upstash-workflow-invoke-count")?.unwrap_or_default();
        let sends_its_version = self.header("upstash-forward-upstash-workflow-sdk-version").is_some();
        let mut forwarded: Vec<(String, String)> = self
            .headers
            .iter()
            .filter_map(|(name, value)| {
                let name = headers::forwarded(name)?;
                let is_owned = headers::is_engine_owned(name)
                    || name.eq_ignore_ascii_case(headers::WORKFLOW_INVOKE_COUNT);
                (!is_owned).then(|| (name.to_ascii_lowercase(), value.clone()))
            })
            .collect();
        let mut features = self.header(headers::FEATURE_SET).map(str::to_owned);
        if !sends_its_version {
            // Whoever publishes without the SDK leaves it to the engine to say what protocol it speaks.
            forwarded.push((headers::WORKFLOW_SDK_VERSION.to_owned(), headers::PROTOCOL_VERSION.to_owned()));
            features.get_or_insert_with(|| headers::FEATURES.to_owned());
        }
        let url = urls.resolve(&self.destination)?;
        Ok(StartRun {
            id,
            config: RunConfig {
                failure: self.failure_target(&url, &forwarded, urls)?,
                content_type: self.header("content-type").map(str::to_owned),
                headers: forwarded,
                retries,
                retry_delay,
                labels,
                redact_payload: redact.body,
                redact_headers: redact.headers,
                caller_ip: self.caller_ip.clone(),
                flow_control,
                features,
                invoke_count,
                ..RunConfig::default()
            },
            url,
            delay: self.delay()?,
            not_before,
            payload: self.body,
        })
    }

    /// Who is told if the run of the workflow at `url` fails. Nobody, unless `Upstash-Failure-Callback` says so: some senders add
    /// the rest of its family to every message.
    fn failure_target(
        &self,
        url: &str,
        of_the_run: &[(String, String)],
        urls: &Urls,
    ) -> Result<Option<FailureTarget>, EngineError> {
        let Some(told) = self.header(headers::FAILURE_CALLBACK) else { return Ok(None) };
        let told = Some(urls.resolve(told)?).filter(|told| told != url);
        let option = |name: &str| format!("{}-{name}", headers::FAILURE_CALLBACK);
        let retry_delay = self.header(&option("retry-delay")).map(str::to_owned);
        if let Some(expression) = &retry_delay {
            retry::check(expression).map_err(EngineError::Invalid)?;
        }
        let mut own: Vec<(String, String)> = self
            .headers
            .iter()
            .filter_map(|(name, value)| {
                let name = headers::forwarded_to_failure(name)?.to_ascii_lowercase();
                failure::is_forwarded(&name).then(|| (name, value.clone()))
            })
            .collect();
        if told.is_none() {
            own.retain(|header| !of_the_run.contains(header));
        }
        Ok(Some(FailureTarget {
            url: told,
            headers: own,
            retries: self.number(&option("retries"))?,
            retry_delay,
            flow_control: self.limits(&option("flow-control-key"), &option("flow-control-value"))?,
        }))
    }

    fn into_step(self, run_id: String) -> Result<Submission, EngineError> {
        let step: Step = serde_json::from_slice(&self.body)
            .map_err(|error| EngineError::Invalid(format!("the body is not a step: {error}")))?;
        let is_plan = step.target_step.is_some();
        let of_the_engine = matches!(step.step_type, StepType::Invoke | StepType::WaitForWebhook) && !is_plan;
        if of_the_engine || step.step_type == StepType::Initial {
            return Err(EngineError::Refused(format!(
                "results of steps of the type {:?} are recorded by the engine alone",
                step.step_type
            )));
        }
        if step.position() == 0 {
            return Err(EngineError::Invalid(
                "a step needs a `stepId` of 1 or more, or a `targetStep` if it is announced only".to_owned(),
            ));
        }
        let delay = self.delay()?.map_or(0, |delay| i64::try_from(delay.as_millis()).unwrap_or(i64::MAX));
        let not_before =
            self.number::<i64>(headers::NOT_BEFORE)?.map_or(i64::MIN, |s| s.saturating_mul(1000));
        // The header is rounded to seconds by the SDK; the body is exact (protocol, section I, decision 6).
        let exact = step.sleep_until.map_or(i64::MIN, |seconds| (seconds * 1000.0).ceil() as i64);
        Ok(Submission::Step {
            run_id,
            created_at: self.number(headers::WORKFLOW_CREATED_AT)?,
            step: Box::new(step),
            body: self.body,
            delay,
            not_before: not_before.max(exact),
        })
    }

    /// The limits that the message asks for.
    pub(crate) fn flow_control(&self) -> Result<Option<FlowControl>, EngineError> {
        self.limits(headers::FLOW_CONTROL_KEY, headers::FLOW_CONTROL_VALUE)
    }

    fn limits(&self, key: &str, value: &str) -> Result<Option<FlowControl>, EngineError> {
        let Some(key) = self.header(key) else { return Ok(None) };
        let value = self.header(value).unwrap_or_default();
        let limits = FlowControl::parse(key, value).and_then(|limits| limits.check().map(|()| limits));
        limits.map(Some).map_err(|error| EngineError::Invalid(error.to_string()))
    }

    fn delay(&self) -> Result<Option<Duration>, EngineError> {
        let Some(value) = self.header(headers::DELAY) else { return Ok(None) };
        parse_duration(value)
            .map(Some)
            .map_err(|error| EngineError::Invalid(format!("the header `{}`: {error}", headers::DELAY)))
    }

    fn number<T: std::str::FromStr>(&self, name: &str) -> Result<Option<T>, EngineError> {
        self.header(name)
            .map(|value| {
                value.trim().parse().map_err(|_| {
                    EngineError::Invalid(format!("the header `{name}` must be a whole number, not `{value}`"))
                })
            })
            .transpose()
    }
}

fn labels(header: Option<&str>) -> Result<Vec<String>, EngineError> {
    let labels: Vec<String> = header
        .into_iter()
        .flat_map(|labels| labels.split(','))
        .map(|label| label.trim().to_owned())
        .filter(|label| !label.is_empty())
        .collect();
    check_labels(&labels)?;
    Ok(labels)
}
