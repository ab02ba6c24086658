//! The body of a step delivery: the payload and the history of a run.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::Deserialize;

use super::Step;
use crate::json::Object;

/// What a step delivery carries: the log of a run up to and including the delivered message.
#[derive(Clone, Debug, PartialEq)]
pub struct StepDelivery {
    /// The payload that the run was triggered with, as raw bytes.
    pub payload: Bytes,
    /// The entries after it that are steps, in the order of the log. Others (calls on their way, configuration) are left
    /// out.
    pub steps: Vec<Step>,
    /// The id of the delivered message: the last entry of the log.
    pub message_id: String,
    /// Steps of entries after the delivered one, where the log goes on.
    pub later: Vec<Step>,
}

/// A body that is not a run's log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// It is not a JSON array of entries.
    #[error("the delivery is not a JSON array of log entries: {0}")]
    NotALog(String),
    /// It has no entry, not even the payload.
    #[error("the delivery has no entries; its first one should be the run's payload")]
    Empty,
    /// It lacks the message that is delivered.
    #[error("the log of the run has no entry for the delivered message `{message_id}`")]
    NotThere {
        /// The id of the message.
        message_id: String,
    },
    /// An entry's body is not base64.
    #[error("entry {index} of the delivery is not base64: {reason}")]
    NotBase64 {
        /// Which entry, from 0.
        index: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// An entry is not a step.
    #[error("entry {index} of the delivery is not a step: {reason}")]
    NotAStep {
        /// Which entry, from 0.
        index: usize,
        /// What is wrong with it.
        reason: String,
    },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(default)]
    message_id: String,
    #[serde(default)]
    body: String,
    #[serde(default = "step")]
    call_type: String,
}

fn step() -> String {
    "step".to_owned()
}

impl StepDelivery {
    /// Reads the body of a step delivery.
    ///
    /// # Errors
    ///
    /// If it is not a JSON array of `{"messageId", "body", "callType"}` whose bodies are base64 of, first, the payload and
    /// then steps.
    pub fn decode(body: &[u8]) -> Result<Self, HistoryError> {
        Self::read(body, None)
    }

    /// Reads the log of a run as far as the message of this id: what its delivery would have carried. A log of nothing but the
    /// payload is taken as it is.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode), and [`HistoryError::NotThere`].
    pub fn decode_until(body: &[u8], message_id: &str) -> Result<Self, HistoryError> {
        Self::read(body, Some(message_id))
    }

    /// Whether the log shows that this delivery has done its work before: the step that it announces is recorded, or
    /// something that comes after all that it carries.
    pub fn is_done(&self) -> bool {
        match self.steps.last() {
            Some(Step { step_id: 0, target_step: Some(target), .. }) => {
                self.steps.iter().chain(&self.later).any(|step| step.step_id == *target)
            }
            _ => {
                let last = self.steps.iter().map(Step::position).max().unwrap_or(0);
                self.later.iter().any(|step| step.position() > last)
            }
        }
    }

    fn read(body: &[u8], delivered: Option<&str>) -> Result<Self, HistoryError> {
        let entries: Vec<Object<Entry>> =
            serde_json::from_slice(body).map_err(|error| HistoryError::NotALog(error.to_string()))?;
        let last = match delivered {
            Some(id) if entries.len() > 1 => entries
                .iter()
                .position(|Object(entry)| entry.message_id == id)
                .ok_or_else(|| HistoryError::NotThere { message_id: id.to_owned() })?,
            _ => entries.len().checked_sub(1).ok_or(HistoryError::Empty)?,
        };
        let mut delivery = Self {
            payload: Bytes::new(),
            steps: Vec::with_capacity(last),
            message_id: String::new(),
            later: Vec::new(),
        };
        for (index, Object(entry)) in entries.into_iter().enumerate() {
            if index == last {
                delivery.message_id = entry.message_id;
            }
            if index > 0 && entry.call_type != "step" {
                continue;
            }
            let bytes = STANDARD
                .decode(&entry.body)
                .map_err(|error| HistoryError::NotBase64 { index, reason: error.to_string() })?;
            if index == 0 {
                delivery.payload = bytes.into();
                continue;
            }
            let Object(step) = serde_json::from_slice(&bytes)
                .map_err(|error| HistoryError::NotAStep { index, reason: error.to_string() })?;
            let steps = if index <= last { &mut delivery.steps } else { &mut delivery.later };
            steps.push(step);
        }
        Ok(delivery)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::protocol::StepType;

    fn entry(id: &str, body: &str, call_type: &str) -> serde_json::Value {
        json!({"messageId": id, "body": STANDARD.encode(body), "callType": call_type})
    }

    fn decode(entries: &[serde_json::Value]) -> Result<StepDelivery, HistoryError> {
        StepDelivery::decode(&serde_json::to_vec(entries).unwrap())
    }

    #[test]
    fn the_first_entry_is_the_payload_and_the_others_are_steps() {
        let delivery = decode(&[
            entry("msg_0", "raw \u{e4}", "whatever"),
            entry(
                "msg_1",
                r#"{"stepId":1,"stepName":"a","stepType":"Run","out":"\"x\"","concurrent":1}"#,
                "step",
            ),
            entry("msg_2", "not looked at", "toCallback"),
            entry(
                "msg_3",
                r#"{"stepId":2,"stepName":"b","stepType":"SleepFor","sleepFor":"1d","extra":null}"#,
                "step",
            ),
        ])
        .unwrap();
        assert_eq!(delivery.payload, "raw \u{e4}".as_bytes());
        assert_eq!(delivery.message_id, "msg_3");
        let read: Vec<_> =
            delivery.steps.iter().map(|s| (s.step_id, s.step_type, s.out.as_deref())).collect();
        assert_eq!(read, [(1, StepType::Run, Some("\"x\"")), (2, StepType::SleepFor, None)]);
    }

    #[test]
    fn an_empty_payload_is_empty() {
        assert_eq!(decode(&[entry("msg_0", "", "step")]).unwrap().payload, Bytes::new());
    }

    #[test]
    fn hostile_bodies_are_told_what_is_wrong() {
        assert_eq!(StepDelivery::decode(b"[]"), Err(HistoryError::Empty));
        for body in
            [&b""[..], b"{}", b"[1]", b"[{\"body\":1}]", b"\xff", b"[[[[", b"null", b"[[]]", b"[[\"m\"]]"]
        {
            assert!(matches!(StepDelivery::decode(body), Err(HistoryError::NotALog(_))), "{body:?}");
        }
        let payload = entry("m", "", "step");
        assert!(matches!(
            decode(&[payload.clone(), json!({"messageId": "m", "body": "%%", "callType": "step"})]),
            Err(HistoryError::NotBase64 { index: 1, .. })
        ));
        for step in ["", "[]", "{}", r#"[1,"a","Run"]"#, r#"{"stepId":-1,"stepName":"a","stepType":"Run"}"#] {
            assert!(
                matches!(
                    decode(&[payload.clone(), entry("m", step, "step")]),
                    Err(HistoryError::NotAStep { index: 1, .. })
                ),
                "{step}"
            );
        }
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(matches!(StepDelivery::decode(deep.as_bytes()), Err(HistoryError::NotALog(_))));
    }
}
