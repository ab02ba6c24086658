//! What became of a run, as its listing tells.

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::{ClientError, RunLog, RunState, StepError};
use crate::{Workflow, workflow::decode_payload};

impl RunLog {
    /// Whether the run has succeeded, failed or been cancelled.
    pub fn is_ended(&self) -> bool {
        self.workflow_state != RunState::RunStarted
    }

    /// What the workflow has returned, or nothing while the run goes on.
    ///
    /// It is decoded from JSON; as with payloads, `()` takes anything and `String` also plain text.
    ///
    /// # Errors
    /// [`ClientError::Unsuccessful`] if the run has failed or was cancelled, and therefore never returns anything;
    /// [`ClientError::Encoding`] if what it returned does not fit `T`.
    pub fn response<T: DeserializeOwned + 'static>(&self) -> Result<Option<T>, ClientError> {
        let reason = match self.workflow_state {
            RunState::RunStarted => return Ok(None),
            RunState::RunSuccess => {
                let json = Bytes::from(self.workflow_run_response.clone().unwrap_or_default());
                return decode_payload(&json).map(Some).map_err(|error| {
                    ClientError::Encoding(format!(
                        "what the run `{}` has returned {error}",
                        self.workflow_run_id
                    ))
                });
            }
            RunState::RunFailed => {
                let reason = self.failure().unwrap_or_else(|| "the engine does not say why".to_owned());
                format!("has failed: {reason}")
            }
            RunState::RunCanceled => "was cancelled".to_owned(),
        };
        Err(ClientError::Unsuccessful { run_id: self.workflow_run_id.clone(), reason })
    }

    /// What the workflow `W`, whose run this is, has returned: [`response`](Self::response) with the type that `W` declares.
    ///
    /// # Errors
    /// As there.
    pub fn result<W: Workflow>(&self) -> Result<Option<W::Output>, ClientError>
    where
        W::Output: DeserializeOwned + 'static,
    {
        self.response()
    }

    /// Why the last failed attempt of what comes next has failed, if there is one. Of a run that has failed, it is why.
    pub fn failure(&self) -> Option<String> {
        self.steps.iter().rev().flat_map(|group| &group.steps).find_map(|step| step.errors.last()).map(reason)
    }
}

/// The reason in words. An endpoint over HTTP answers with JSON that has it as its `message`.
fn reason(error: &StepError) -> String {
    #[derive(serde::Deserialize)]
    struct Answer {
        message: String,
    }
    match serde_json::from_str::<Answer>(&error.body) {
        Ok(answer) => answer.message,
        Err(_) if !error.error.is_empty() => error.error.clone(),
        Err(_) if !error.body.is_empty() => error.body.clone(),
        Err(_) => format!("the endpoint answered with status {}", error.status),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn run(state: &str, more: Value) -> RunLog {
        let mut run = json!({
            "workflowRunId": "wfr_7",
            "workflowUrl": "/order",
            "workflowState": state,
            "workflowRunCreatedAt": 1,
        });
        run.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(run).unwrap()
    }

    #[test]
    fn a_run_that_goes_on_has_no_response_yet() {
        let run = run("RUN_STARTED", json!({}));
        assert!(!run.is_ended());
        assert_eq!(run.response::<u8>().unwrap(), None);
    }

    #[test]
    fn what_was_returned_is_decoded() {
        let seven = run("RUN_SUCCESS", json!({ "workflowRunResponse": "7" }));
        assert!(seven.is_ended());
        assert_eq!(seven.response().unwrap(), Some(7_u8));
        assert_eq!(
            seven.response::<bool>().unwrap_err().to_string(),
            "what the run `wfr_7` has returned does not fit `bool`: invalid type: integer `7`, expected a boolean at line 1 \
             column 1"
        );
        let nothing = run("RUN_SUCCESS", json!({}));
        assert_eq!(nothing.response().unwrap(), Some(()));
        assert_eq!(nothing.response::<Option<u8>>().unwrap(), Some(None));
        let text = run("RUN_SUCCESS", json!({ "workflowRunResponse": "\"done\"" }));
        assert_eq!(text.response::<String>().unwrap().as_deref(), Some("done"));
    }

    #[test]
    fn a_run_without_success_says_why_it_has_no_response() {
        let message = |run: RunLog| {
            assert!(run.is_ended());
            run.response::<()>().unwrap_err().to_string()
        };
        let failed = |errors: Value| {
            let next = json!({ "type": "next", "steps": [{ "errors": errors }] });
            run("RUN_FAILED", json!({ "steps": [next] }))
        };
        assert_eq!(message(run("RUN_CANCELED", json!({}))), "the run `wfr_7` was cancelled");
        assert_eq!(
            message(run("RUN_FAILED", json!({}))),
            "the run `wfr_7` has failed: the engine does not say why"
        );
        assert_eq!(
            message(failed(json!([{ "error": "first" }, { "error": "no funds", "status": 500 }]))),
            "the run `wfr_7` has failed: no funds"
        );
        assert_eq!(
            message(failed(json!([{ "status": 489, "body": r#"{"error":"E","message":"no chance"}"# }]))),
            "the run `wfr_7` has failed: no chance"
        );
        assert_eq!(
            message(failed(json!([{ "status": 502, "body": "bad gateway" }]))),
            "the run `wfr_7` has failed: bad gateway"
        );
        assert_eq!(
            message(failed(json!([{ "status": 502 }]))),
            "the run `wfr_7` has failed: the endpoint answered with status 502"
        );
    }
}
