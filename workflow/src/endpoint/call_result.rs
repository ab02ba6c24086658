//! Results of calls, as the engine delivers them: the answer to a request that it has made for a run.
//!
//! The workflow is not called. What was answered becomes the result of the step, and that is delivered like any other.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Response};
use serde::Deserialize;

use super::answer;
use crate::{
    client::HeaderLists,
    engine::{HttpEngine, HttpRun},
    json::Object,
    protocol::{CallOut, Step, StepType, headers},
};

/// The body of the delivery.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CallResult {
    status: u16,
    #[serde(default)]
    header: Option<HeaderLists>,
    /// Base64.
    #[serde(default)]
    body: Option<String>,
    #[serde(default)]
    retried: Option<u64>,
    #[serde(default)]
    max_retries: Option<u64>,
}

impl CallResult {
    /// Whether the engine makes the request again, so that there will be another answer.
    fn is_preliminary(&self) -> bool {
        let retries = self.max_retries.unwrap_or(0);
        !(200..300).contains(&self.status) && retries > 0 && self.retried != Some(retries)
    }
}

/// Submits the answer to a call as the result of its step.
pub(super) async fn take(
    engine: &HttpEngine,
    run: HttpRun,
    headers: &HeaderMap,
    body: &[u8],
) -> Response<Bytes> {
    let run_id = run.info.id.clone();
    let step = match step(headers) {
        Ok(step) => step,
        Err(missing) => {
            return answer::not_understood(&format!(
                "the result of a call lacks what says whose it is: {missing}"
            ));
        }
    };
    let result = match read(body) {
        Ok((result, _)) if result.is_preliminary() => return answer::call_result_taken(&run_id),
        Ok((result, bytes)) => CallOut::new(result.status, result.header.unwrap_or_default(), &bytes),
        Err(reason) => {
            return answer::not_understood(&format!("the result of a call cannot be read: {reason}"));
        }
    };
    let out = match serde_json::to_string(&result) {
        Ok(out) => out,
        Err(error) => {
            return answer::not_understood(&format!("the result of a call cannot be written: {error}"));
        }
    };
    match engine.submit_call_result(run, Step { out: Some(out), ..step }).await {
        Ok(_) => answer::call_result_taken(&run_id),
        Err(error) => answer::not_taken(&error),
    }
}

fn read(body: &[u8]) -> Result<(CallResult, Vec<u8>), String> {
    let Object(result): Object<CallResult> =
        serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let bytes =
        STANDARD.decode(result.body.as_deref().unwrap_or_default()).map_err(|error| error.to_string())?;
    Ok((result, bytes))
}

/// The step that the headers name.
fn step(headers: &HeaderMap) -> Result<Step, String> {
    let text = |name| {
        let value = headers.get(name).map(|value| String::from_utf8(value.as_bytes().to_vec()));
        match value {
            Some(Ok(text)) if !text.is_empty() => Ok(text),
            // Headers in other encodings than UTF-8 have a character for each byte.
            Some(Err(bytes)) => Ok(bytes.as_bytes().iter().copied().map(char::from).collect()),
            _ => Err(format!("the header `{name}` is missing")),
        }
    };
    let number = |name| {
        let text = text(name)?;
        text.trim().parse::<u32>().ok().filter(|number| *number > 0).ok_or_else(|| {
            format!(
                "the header `{name}` is `{}`, which is no positive number",
                text.chars().take(32).collect::<String>()
            )
        })
    };
    let kind = text(headers::WORKFLOW_STEP_TYPE)?;
    if kind != "Call" {
        return Err(format!("the header `{}` does not say `Call`", headers::WORKFLOW_STEP_TYPE));
    }
    text(headers::WORKFLOW_CONTENT_TYPE)?;
    Ok(Step {
        concurrent: number(headers::WORKFLOW_CONCURRENT)?,
        ..Step::new(number(headers::WORKFLOW_STEP_ID)?, text(headers::WORKFLOW_STEP_NAME)?, StepType::Call)
    })
}
