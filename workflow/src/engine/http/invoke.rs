//! Runs that are started for another run (`context.invoke`), as messages.

use serde::Serialize;

use super::reporter::{EmbeddedHeaders, HttpReporter, bare, embedded, json, unusable};
use crate::{
    client::{
        FailureCallback, Trigger,
        message::{Init, set},
    },
    engine::{Reply, ReportError},
    protocol::{
        Step,
        headers::{self, FAILURE_CALLBACK, FAILURE_CALLBACK_FORWARD_PREFIX, FORWARD_PREFIX},
        run_id::{new_run_id, run_id_of},
    },
};

/// What the engine is told about the run that waits for its child.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation<'a> {
    /// The payload of the child.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    /// Headers of the message that ends the wait.
    headers: EmbeddedHeaders<'a>,
    workflow_run_id: &'a str,
    workflow_run_created_at: i64,
    workflow_url: &'a str,
    step: Step,
}

impl HttpReporter {
    /// Starts a run whose end the engine records as the result of this step.
    pub(super) async fn invoke(&self, step: &Step, mut child: Trigger) -> Result<Reply, ReportError> {
        let info = &self.run.info;
        let url = child.url.clone();
        let run_id = match child.run_id.take() {
            Some(id) => run_id_of(&id),
            None => new_run_id(crate::client::settings::now_ms()),
        };
        let failure_url = match &child.failure {
            FailureCallback::ToWorkflow => Some(url.clone()),
            FailureCallback::To(url) => Some(url.clone()),
            FailureCallback::None => None,
        };
        let mut init =
            Init::new(child, url, &run_id, failure_url.as_deref()).map_err(|error| unusable(&error))?;
        set(&mut init.headers, headers::WORKFLOW_INVOKE, "true");
        let depth = info.invoke_count.saturating_add(1);
        set(&mut init.headers, &format!("{FORWARD_PREFIX}{}", headers::WORKFLOW_INVOKE_COUNT), depth);
        if init.headers.contains_key(FAILURE_CALLBACK) {
            let name = format!("{FAILURE_CALLBACK_FORWARD_PREFIX}{}", headers::WORKFLOW_INVOKE_COUNT);
            set(&mut init.headers, &name, depth);
        }
        self.tell_sdk(&mut init.headers);

        let own = self.headers();
        let payload = std::str::from_utf8(&init.body).map_err(|error| ReportError {
            message: format!(
                "the payload of an invoked workflow travels as text, and this one is not UTF-8: {error}"
            ),
            permanent: true,
        })?;
        let body = json(&Invocation {
            body: Some(payload).filter(|payload| !payload.is_empty()),
            headers: embedded(&own),
            workflow_run_id: &info.id,
            workflow_run_created_at: info.created_at,
            workflow_url: &info.url,
            step: bare(step),
        })?;
        self.publish_bytes(&init.url, &init.headers, body.into()).await
    }
}
