//! The step object: one entry of a run's history.

use serde::{Deserialize, Serialize, Serializer};

/// The kinds of step (`stepType` on the wire).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StepType {
    /// The trigger itself; synthesised, never sent as a step.
    Initial,
    /// A function of the user.
    Run,
    /// A sleep for a duration.
    SleepFor,
    /// A sleep until a point in time.
    SleepUntil,
    /// An HTTP call that the engine makes.
    Call,
    /// A wait for an event.
    Wait,
    /// A notification of an event.
    Notify,
    /// A child run.
    Invoke,
    /// The creation of a webhook.
    CreateWebhook,
    /// A wait for a call of a webhook.
    WaitForWebhook,
}

/// One step as the protocol writes it, in the order of its fields.
///
/// A *result* has a `step_id` of 1 or more. A *plan* (a step of a parallel group, announced before it runs) has `step_id` 0
/// and names the step that it will become in `target_step`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Position of the step in the program, from 1; 0 for a plan.
    pub step_id: u32,
    /// The user's name for the step.
    pub step_name: String,
    /// The kind of step.
    pub step_type: StepType,
    /// The result: a string that holds JSON (for waits, base64 of the event's data).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out: Option<String>,
    /// How many steps its parallel group has; 1 when it is alone.
    #[serde(default = "one")]
    pub concurrent: u32,
    /// On a plan: the `step_id` of the result to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_step: Option<u32>,
    /// How long to sleep: seconds, or a duration such as `1d`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sleep_for: Option<serde_json::Value>,
    /// Until when to sleep: unix seconds, possibly with a fraction.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "as_javascript")]
    pub sleep_until: Option<f64>,
    /// The event that is waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_event_id: Option<String>,
    /// How long to wait, as a duration string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// Set by the engine on the result of a wait: whether it timed out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_timeout: Option<bool>,
}

fn one() -> u32 {
    1
}

/// A whole number is written without a fraction, as JavaScript does.
#[expect(clippy::ref_option, reason = "the form that serde asks for")]
fn as_javascript<S: Serializer>(number: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match number {
        Some(number) if number.fract() == 0.0 && number.abs() <= EXACT => {
            serializer.serialize_i64(*number as i64)
        }
        number => number.serialize(serializer),
    }
}

impl Step {
    /// A step without a result, alone in its group.
    pub fn new(step_id: u32, step_name: impl Into<String>, step_type: StepType) -> Self {
        Self {
            step_id,
            step_name: step_name.into(),
            step_type,
            out: None,
            concurrent: 1,
            target_step: None,
            sleep_for: None,
            sleep_until: None,
            wait_event_id: None,
            timeout: None,
            wait_timeout: None,
        }
    }

    /// The step that this entry is, or will become: `target_step` of a plan, else `step_id`. A result may name a target too, as
    /// whoever plans it wrote it; that says nothing then.
    pub fn position(&self) -> u32 {
        match self.step_id {
            0 => self.target_step.unwrap_or(0),
            id => id,
        }
    }
}
