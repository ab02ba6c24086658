//! What steps give back.

use serde::{Deserialize, Serialize};

use crate::client::Notified;

/// The outcome of a wait for an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a wait may have timed out"]
pub enum WaitResult<T> {
    /// The event came, with this data.
    Received(T),
    /// It did not come in time. It is not taken by this wait when it comes later.
    TimedOut,
}

impl<T> WaitResult<T> {
    /// The event's data, or nothing if the wait timed out.
    pub fn received(self) -> Option<T> {
        match self {
            Self::Received(data) => Some(data),
            Self::TimedOut => None,
        }
    }

    /// Whether the wait timed out.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::TimedOut)
    }
}

/// The outcome of a notification from inside a workflow.
#[derive(Clone, Debug, PartialEq)]
pub struct Notify {
    /// The event's id.
    pub event_id: String,
    /// What became of it for each waiter; with a run id, one entry for that run.
    pub notify_response: Vec<Notified>,
}

impl Notify {
    /// The ids of the runs that were told, or for which the notification is stored; not of those that could not be told.
    pub fn runs(&self) -> impl Iterator<Item = &str> {
        let told = self.notify_response.iter().filter(|notified| notified.error.is_empty());
        told.filter_map(|notified| match notified.workflow_run_id.as_str() {
            "" => notified.waiter.as_ref()?.run_id(),
            run_id => Some(run_id),
        })
    }
}

/// The recorded failure of a step that was run with [`try_run`](crate::WorkflowContext::try_run): all its attempts failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct StepFailure {
    /// What went wrong in the last attempt.
    pub message: String,
}
