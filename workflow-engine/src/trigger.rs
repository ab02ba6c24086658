//! Triggers as they come from a client.

use workflow::{
    client::{FailureCallback, Trigger},
    protocol::{
        headers::{self, is_engine_owned},
        run_id::run_id_of,
    },
};

use crate::{
    command::StartRun,
    delivery::failure,
    error::EngineError,
    limits::{check_flow_control, check_id, check_labels},
    retry,
    store::{FailureTarget, RunConfig},
    urls::Urls,
};

/// Checks a trigger, and gives the run that it starts.
pub fn understand(trigger: Trigger, urls: &Urls) -> Result<StartRun, EngineError> {
    let id = trigger.run_id.as_deref().map(run_id_of);
    if let Some(id) = &id {
        check_id("run id", id)?;
    }
    check_labels(&trigger.labels)?;
    if let Some(expression) = &trigger.retry_delay {
        retry::check(expression).map_err(EngineError::Invalid)?;
    }
    check_flow_control(trigger.flow_control.as_ref())?;
    let url = urls.resolve(&trigger.url)?;
    let mut forwarded = trigger.headers;
    for (name, value) in &forwarded {
        let name_is_good = http::HeaderName::try_from(name.as_str()).is_ok();
        if !name_is_good || http::HeaderValue::try_from(value.as_str()).is_err() {
            return Err(EngineError::Invalid(format!("`{name}: {value}` is not an HTTP header")));
        }
    }
    forwarded.retain(|(name, _)| !is_engine_owned(name));
    let failure = match trigger.failure {
        FailureCallback::ToWorkflow => Some(FailureTarget::default()),
        FailureCallback::To(told) => Some(FailureTarget {
            url: Some(urls.resolve(&told)?).filter(|told| *told != url),
            headers: forwarded.iter().filter(|(name, _)| failure::is_forwarded(name)).cloned().collect(),
            ..FailureTarget::default()
        }),
        FailureCallback::None => None,
    };
    let mut features = None;
    if !url.starts_with('/') {
        forwarded.push((headers::WORKFLOW_SDK_VERSION.to_owned(), headers::PROTOCOL_VERSION.to_owned()));
        features = Some(headers::FEATURES.to_owned());
    }
    Ok(StartRun {
        id,
        url,
        payload: trigger.body,
        config: RunConfig {
            headers: forwarded,
            content_type: trigger.content_type,
            retries: trigger.retries,
            retry_delay: trigger.retry_delay,
            labels: trigger.labels,
            redact_payload: trigger.redact.body,
            redact_headers: trigger.redact.headers,
            caller_ip: None,
            flow_control: trigger.flow_control,
            features,
            failure,
            ..RunConfig::default()
        },
        delay: trigger.delay,
        not_before: trigger.not_before.map(|seconds| seconds.saturating_mul(1000)),
    })
}
