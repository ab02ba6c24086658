//! How often what comes next has failed already.

use std::collections::HashMap;

use crate::engine::FailedAttempts;

/// Failed attempts, as the engine tells of them.
#[derive(Debug)]
pub(crate) enum Attempts {
    /// By step: an engine in this process knows each step's own.
    OfSteps(HashMap<u32, FailedAttempts>),
    /// Of the delivered message, which makes one step run.
    OfDelivery {
        /// Failed deliveries so far.
        failed: u32,
        /// How often the delivery is repeated at most.
        retries: u32,
    },
}

impl Attempts {
    /// The attempts of each step.
    pub(crate) fn of_steps(failed: &[FailedAttempts]) -> Self {
        Self::OfSteps(failed.iter().map(|attempts| (attempts.step_id, attempts.clone())).collect())
    }

    /// Which attempt of this step is next, counted from 1.
    pub(super) fn next(&self, step_id: u32) -> u32 {
        self.failed(step_id).saturating_add(1)
    }

    /// When the next attempt of this step is due, if it is not yet.
    pub(super) fn pending(&self, step_id: u32, now: impl FnOnce() -> i64) -> Option<i64> {
        match self {
            Self::OfSteps(steps) => {
                steps.get(&step_id).map(|attempts| attempts.due).filter(|due| *due > now())
            }
            Self::OfDelivery { .. } => None,
        }
    }

    /// Whether no attempt follows this step's next one. Known where deliveries are counted; an engine in this process
    /// counts itself.
    pub(super) fn is_last(&self, max_retries: Option<u32>) -> bool {
        match self {
            Self::OfSteps(_) => false,
            Self::OfDelivery { failed, retries } => *failed >= max_retries.unwrap_or(*retries),
        }
    }

    fn failed(&self, step_id: u32) -> u32 {
        match self {
            Self::OfSteps(steps) => steps.get(&step_id).map_or(0, |attempts| attempts.count),
            Self::OfDelivery { failed, .. } => *failed,
        }
    }
}
