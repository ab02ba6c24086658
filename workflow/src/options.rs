//! What `#[workflow(..)]` says about all runs of a workflow.

use std::time::Duration;

use crate::{
    FlowControl,
    client::{FailureCallback, Trigger},
};

/// Settings of all runs of a workflow, as its attribute gives them: `#[workflow(retries = 5, label = "retail")]`.
///
/// They apply where the engine learns of a run from this program: to runs that are started by a request to the workflow
/// itself, and by its type. What a trigger says itself comes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkflowOptions {
    /// How often a failed step is retried before the run fails; the engine's default if absent.
    pub retries: Option<u32>,
    /// Expression for the delay before a retry, in milliseconds, over `retried`; the engine's default if absent.
    pub retry_delay: Option<&'static str>,
    /// Labels, to find runs by.
    pub labels: &'static [&'static str],
    /// How long an attempt of a step may take; as long as it takes if absent.
    pub timeout: Option<Duration>,
    /// Limits that the runs share.
    pub flow_control: Option<FlowLimits>,
    /// Whether the workflow has a failure function.
    pub handles_failure: bool,
}

/// A [`FlowControl`] as the attribute writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowLimits {
    /// What shares the limits.
    pub key: &'static str,
    /// How many may be under way at once.
    pub parallelism: Option<u32>,
    /// How many may begin in a period.
    pub rate: Option<u32>,
    /// The period of the rate.
    pub period: Option<Duration>,
}

impl From<FlowLimits> for FlowControl {
    fn from(limits: FlowLimits) -> Self {
        let FlowLimits { key, parallelism, rate, period } = limits;
        Self { key: key.to_owned(), parallelism, rate, period }
    }
}

impl WorkflowOptions {
    /// No settings: those of the engine.
    pub const fn new() -> Self {
        Self {
            retries: None,
            retry_delay: None,
            labels: &[],
            timeout: None,
            flow_control: None,
            handles_failure: false,
        }
    }

    /// Sets how often a failed step is retried.
    pub const fn retries(mut self, retries: u32) -> Self {
        self.retries = Some(retries);
        self
    }

    /// Sets the expression for the delay before a retry, in milliseconds.
    pub const fn retry_delay(mut self, expression: &'static str) -> Self {
        self.retry_delay = Some(expression);
        self
    }

    /// Sets the labels.
    pub const fn labels(mut self, labels: &'static [&'static str]) -> Self {
        self.labels = labels;
        self
    }

    /// Sets how long an attempt of a step may take.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Sets limits that the runs share.
    pub const fn flow_control(mut self, limits: FlowLimits) -> Self {
        self.flow_control = Some(limits);
        self
    }

    /// Says that the workflow has a failure function.
    pub const fn handles_failure(mut self) -> Self {
        self.handles_failure = true;
        self
    }

    /// Who is told of the failure of a run that is started by a request to the workflow itself.
    pub(crate) fn own_failure_callback(&self) -> FailureCallback {
        if self.handles_failure { FailureCallback::ToWorkflow } else { FailureCallback::None }
    }

    /// Fills in what a trigger leaves open, and adds the labels that it does not have.
    pub(crate) fn complete(&self, trigger: &mut Trigger) {
        trigger.retries = trigger.retries.or(self.retries);
        trigger.retry_delay = trigger.retry_delay.take().or(self.retry_delay.map(str::to_owned));
        trigger.flow_control = trigger.flow_control.take().or(self.flow_control.map(FlowControl::from));
        for label in self.labels {
            if !trigger.labels.iter().any(|given| given == label) {
                trigger.labels.push((*label).to_owned());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_trigger_says_itself_comes_first() {
        let options = WorkflowOptions::new().retries(5).retry_delay("1000").labels(&["retail", "eu"]);
        let mut open = Trigger { labels: vec!["vip".to_owned(), "eu".to_owned()], ..Trigger::default() };
        options.complete(&mut open);
        assert_eq!(open.retries, Some(5));
        assert_eq!(open.retry_delay.as_deref(), Some("1000"));
        assert_eq!(open.labels, ["vip", "eu", "retail"]);

        let mut told = Trigger { retries: Some(0), retry_delay: Some("7".to_owned()), ..Trigger::default() };
        options.complete(&mut told);
        assert_eq!(told.retries, Some(0));
        assert_eq!(told.retry_delay.as_deref(), Some("7"));
    }
}
