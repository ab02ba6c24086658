//! A step as the program asks for it.

use std::{panic::Location, time::Duration};

use bytes::Bytes;
use serde_json::Value;

use super::ProducedStep;
use crate::{
    client::Trigger,
    engine::{HttpCall, Report},
    protocol::{
        Step, StepType,
        duration::{format_duration, whole_seconds},
    },
};

/// A step that the program asks for.
#[derive(Debug)]
pub(crate) struct Claim {
    /// The user's name for it.
    pub(crate) name: String,
    /// What is to be done.
    pub(crate) work: Work,
    /// Where in the user's code it is.
    pub(crate) location: &'static Location<'static>,
}

/// What a step does.
#[derive(Debug)]
pub(crate) enum Work {
    /// Runs a body of the user.
    Run {
        /// Retries of this step, where they differ from the run's.
        max_retries: Option<u32>,
        /// Whether the last failure is recorded as the result.
        record_failure: bool,
    },
    /// Sleeps for a duration.
    SleepFor(Duration),
    /// Sleeps until a time in unix seconds.
    SleepUntil(f64),
    /// Waits for an event.
    Wait {
        /// The event's id.
        event_id: String,
        /// For how long at most.
        timeout: Duration,
    },
    /// Notifies of an event.
    Notify {
        /// The event's id.
        event_id: String,
        /// The event's data.
        data: Bytes,
        /// The one run to notify.
        run_id: Option<String>,
    },
    /// Lets the engine send an HTTP request.
    Call(Box<HttpCall>),
    /// Runs another workflow.
    Invoke(Box<Trigger>),
    /// Makes a webhook.
    CreateWebhook,
    /// Waits for a call of a webhook.
    WaitForWebhook {
        /// The id of the event that such a call is.
        event_id: String,
        /// For how long at most.
        timeout: Duration,
    },
}

impl Claim {
    /// The kind of step.
    pub(super) fn step_type(&self) -> StepType {
        match self.work {
            Work::Run { .. } => StepType::Run,
            Work::SleepFor(_) => StepType::SleepFor,
            Work::SleepUntil(_) => StepType::SleepUntil,
            Work::Wait { .. } => StepType::Wait,
            Work::Notify { .. } => StepType::Notify,
            Work::Call(_) => StepType::Call,
            Work::Invoke(_) => StepType::Invoke,
            Work::CreateWebhook => StepType::CreateWebhook,
            Work::WaitForWebhook { .. } => StepType::WaitForWebhook,
        }
    }

    /// The step as it is told of: at this position, among so many side by side.
    pub(super) fn produced(&self, position: u32, concurrent: u32) -> ProducedStep {
        let (name, step_type) = (self.name.clone(), self.step_type());
        ProducedStep { position, name, step_type, concurrent, location: self.location }
    }

    /// Like [`produced`](Self::produced), of a claim that nobody needs any more.
    pub(super) fn into_produced(self, position: u32, concurrent: u32) -> ProducedStep {
        let step_type = self.step_type();
        ProducedStep { position, name: self.name, step_type, concurrent, location: self.location }
    }

    /// The step as it is recorded, without a result.
    pub(super) fn step(&self, id: u32, concurrent: u32) -> Step {
        let mut step = Step::new(id, &self.name, self.step_type());
        step.concurrent = concurrent;
        if let Work::SleepFor(duration) = self.work {
            step.sleep_for = Some(seconds(duration));
        }
        if let Work::SleepUntil(time) = self.work {
            step.sleep_until = Some(time);
        }
        step
    }

    /// The step as it is announced before its parallel group runs.
    pub(super) fn plan(&self, id: u32, concurrent: u32) -> Step {
        let mut step = self.step(0, concurrent);
        step.target_step = Some(id);
        if let Work::Wait { event_id, timeout } | Work::WaitForWebhook { event_id, timeout } = &self.work {
            step.wait_event_id = Some(event_id.clone());
            step.timeout = Some(format_duration(*timeout));
        }
        step
    }

    /// The report by which the engine performs the step; nothing for a body, which is run here.
    pub(super) fn report(&self, mut step: Step, park: bool, now: i64) -> Option<Report> {
        match &self.work {
            Work::Run { .. } => None,
            Work::SleepFor(duration) => {
                let milliseconds = duration.as_nanos().div_ceil(1_000_000);
                let until = i64::try_from(milliseconds).map_or(i64::MAX, |wait| now.saturating_add(wait));
                step.sleep_until = Some(until as f64 / 1000.0);
                Some(Report::Sleep { step, park })
            }
            Work::SleepUntil(_) => Some(Report::Sleep { step, park }),
            Work::Wait { event_id, timeout } | Work::WaitForWebhook { event_id, timeout } => {
                step.wait_event_id = Some(event_id.clone());
                Some(Report::Wait { step, event_id: event_id.clone(), timeout: *timeout, park })
            }
            Work::Notify { event_id, data, run_id } => Some(Report::Notify {
                step,
                event_id: event_id.clone(),
                data: data.clone(),
                run_id: run_id.clone(),
            }),
            Work::Call(call) => Some(Report::Call { step, call: call.clone(), park }),
            Work::Invoke(child) => Some(Report::Invoke { step, child: child.clone(), park }),
            Work::CreateWebhook => Some(Report::CreateWebhook(step)),
        }
    }
}

/// Whole seconds, as the protocol has it; rounded up, so that nothing wakes early.
fn seconds(duration: Duration) -> Value {
    Value::from(whole_seconds(duration))
}

/// When a recorded sleep is over, in milliseconds since the Unix epoch. Nothing but a sleep has such a time.
pub(super) fn due(step: &Step) -> Option<i64> {
    matches!(step.step_type, StepType::SleepFor | StepType::SleepUntil)
        .then_some(step.sleep_until)
        .flatten()
        .map(|seconds| (seconds * 1000.0).round() as i64)
}
