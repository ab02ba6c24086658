//! Limits of flow control that are set by hand: they come before those that triggers and calls ask for, and survive a restart.

use std::time::Duration;

use workflow::{FlowControl, client::FlowControlChange};

use super::{Command, Transaction};
use crate::error::EngineError;

/// Changes what is pinned or paused for a key.
pub struct ChangeFlowControl {
    key: String,
    change: FlowControlChange,
}

impl ChangeFlowControl {
    /// Checks a change.
    pub fn new(key: &str, change: FlowControlChange) -> Result<Self, EngineError> {
        let mut limits = FlowControl::key(key);
        match change {
            FlowControlChange::Pin { parallelism, rate, period } => {
                if rate.is_none() && period.is_some() {
                    return Err(EngineError::Invalid(format!(
                        "the period that is to be pinned for `{key}` has no rate; name both"
                    )));
                }
                (limits.parallelism, limits.rate, limits.period) = (parallelism, rate, period);
            }
            // What is left to check is the key.
            _ => limits.parallelism = Some(1),
        }
        limits.check().map_err(|error| EngineError::Invalid(error.to_string()))?;
        Ok(Self { key: key.to_owned(), change })
    }
}

impl Command for ChangeFlowControl {
    type Reply = ();

    fn apply(self, tx: &mut Transaction<'_>) -> Result<(), EngineError> {
        let mut pinned = tx.store.pinned(&self.key)?;
        match self.change {
            FlowControlChange::Pause => pinned.paused = true,
            FlowControlChange::Resume => pinned.paused = false,
            FlowControlChange::Pin { parallelism, rate, period } => {
                pinned.parallelism = parallelism.or(pinned.parallelism);
                if let Some(rate) = rate {
                    let period = period.unwrap_or(Duration::from_secs(1));
                    pinned.rate = Some(rate);
                    pinned.period = i64::try_from(period.as_millis()).unwrap_or(i64::MAX);
                }
            }
            FlowControlChange::Unpin { parallelism, rate } => {
                if parallelism {
                    pinned.parallelism = None;
                }
                if rate {
                    (pinned.rate, pinned.period) = (None, 0);
                }
            }
            // Counts are no matter of the store.
            FlowControlChange::ResetRate => return Ok(()),
        }
        tx.store.set_pinned(&self.key, &pinned)?;
        tx.outbox.pinned.push((self.key, pinned));
        Ok(())
    }
}
