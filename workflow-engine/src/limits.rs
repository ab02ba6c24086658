//! What ids, labels and flow control may look like.

use workflow::FlowControl;

use crate::error::EngineError;

/// An id may have this many bytes.
const MAX_ID: usize = 512;

/// A run may have this many labels.
const MAX_LABELS: usize = 64;

/// Checks an id that a caller has chosen: a run id or an event id.
pub fn check_id(what: &str, id: &str) -> Result<(), EngineError> {
    if id.is_empty() {
        return Err(EngineError::Invalid(format!("the {what} is empty")));
    }
    if id.len() > MAX_ID {
        return Err(EngineError::Invalid(format!("the {what} has {} bytes; {MAX_ID} are allowed", id.len())));
    }
    if id.contains(|c: char| c.is_control()) {
        return Err(EngineError::Invalid(format!("the {what} contains control characters")));
    }
    Ok(())
}

/// Checks the labels of a run.
pub fn check_labels(labels: &[String]) -> Result<(), EngineError> {
    if labels.len() > MAX_LABELS {
        return Err(EngineError::Invalid(format!(
            "a run may have {MAX_LABELS} labels, not {}",
            labels.len()
        )));
    }
    if let Some(label) = labels.iter().find(|label| label.contains(',')) {
        return Err(EngineError::Invalid(format!(
            "the label `{label}` contains a comma, which separates labels"
        )));
    }
    labels.iter().try_for_each(|label| check_id("label", label))
}

/// Checks the limits of a run or a call.
pub fn check_flow_control(limits: Option<&FlowControl>) -> Result<(), EngineError> {
    limits.map_or(Ok(()), FlowControl::check).map_err(|error| EngineError::Invalid(error.to_string()))
}
