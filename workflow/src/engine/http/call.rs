//! Requests that the engine makes for a run (`context.call`), as messages.

use super::reporter::{HttpReporter, unusable};
use crate::{
    client::message::{Message, forward, forwarded_headers, set},
    engine::{HttpCall, Reply, ReportError},
    protocol::{
        Step,
        duration::whole_seconds,
        headers::{self, CALL_FEATURES, CALLBACK, CALLBACK_FORWARD_PREFIX, FEATURES, FORWARD_PREFIX},
    },
};

impl HttpReporter {
    /// Lets the engine make a request and deliver what was answered to this workflow, as the callback of the message.
    pub(super) async fn call(&self, step: &Step, call: HttpCall) -> Result<Reply, ReportError> {
        let info = &self.run.info;
        let forwarded = forwarded_headers(&call.headers).map_err(|error| unusable(&error))?;
        let content_type =
            forwarded.get("content-type").cloned().unwrap_or_else(|| "application/json".to_owned());

        let mut message = self.headers();
        message.remove(&format!("{FORWARD_PREFIX}{}", headers::WORKFLOW_SDK_VERSION));
        set(&mut message, "content-type", &content_type);
        set(&mut message, headers::WORKFLOW_CALL_TYPE, "toCallback");
        set(&mut message, headers::FEATURE_SET, CALL_FEATURES);
        set(&mut message, headers::METHOD, &call.method);
        set(&mut message, headers::RETRIES, call.retries);
        if let Some(expression) = &call.retry_delay {
            set(&mut message, headers::RETRY_DELAY, expression);
        }
        if let Some(timeout) = call.timeout {
            set(&mut message, headers::TIMEOUT, whole_seconds(timeout));
        }
        if let Some(limits) = &call.flow_control {
            set(&mut message, headers::FLOW_CONTROL_KEY, &limits.key);
            set(&mut message, headers::FLOW_CONTROL_VALUE, limits.value());
        }
        forward(&mut message, forwarded);

        set(&mut message, CALLBACK, &info.url);
        for (name, value) in [
            ("feature-set", FEATURES),
            ("workflow-calltype", "fromCallback"),
            ("workflow-init", "false"),
            ("workflow-runid", &info.id),
            ("workflow-url", &info.url),
        ] {
            set(&mut message, &format!("{CALLBACK}-{name}"), value);
        }
        let step_type = format!("{:?}", step.step_type);
        for (name, value) in [
            (headers::WORKFLOW_CALLBACK, "true"),
            (headers::WORKFLOW_STEP_ID, &step.step_id.to_string()),
            (headers::WORKFLOW_STEP_NAME, &step.step_name),
            (headers::WORKFLOW_STEP_TYPE, &step_type),
            (headers::WORKFLOW_CONCURRENT, &step.concurrent.to_string()),
            (headers::WORKFLOW_CONTENT_TYPE, &content_type),
        ] {
            set(&mut message, &format!("{CALLBACK_FORWARD_PREFIX}{name}"), value);
        }
        if info.invoke_count > 0 {
            let name = format!("{CALLBACK_FORWARD_PREFIX}{}", headers::WORKFLOW_INVOKE_COUNT);
            set(&mut message, &name, info.invoke_count);
        }

        match String::from_utf8(call.body.into()) {
            Ok(body) => {
                let body = Some(body).filter(|body| !body.is_empty());
                self.send_message(&Message { destination: call.url, headers: message, body }).await
            }
            Err(bytes) => self.publish_bytes(&call.url, &message, bytes.into_bytes().into()).await,
        }
    }
}
