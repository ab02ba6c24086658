//! Steps that sleep.

use std::{
    panic::Location,
    time::{Duration, SystemTime},
};

use super::WorkflowContext;
use crate::{
    Result,
    protocol::duration::MAX_DURATION,
    replay::{Claim, Work},
};

impl<P> WorkflowContext<P> {
    /// Sleeps for `duration` (a thousand years at most), across restarts; nothing is kept in memory meanwhile.
    ///
    /// # Errors
    ///
    /// Only if the step is not awaited by the workflow function itself.
    #[track_caller]
    pub fn sleep(&self, name: impl Into<String>, duration: Duration) -> impl Future<Output = Result<()>> {
        let work = Work::SleepFor(duration.min(MAX_DURATION));
        self.sleeping(Claim { name: name.into(), work, location: Location::caller() })
    }

    /// Sleeps until `time`, across restarts; not at all if it is past.
    ///
    /// # Errors
    ///
    /// Only if the step is not awaited by the workflow function itself.
    #[track_caller]
    pub fn sleep_until(&self, name: impl Into<String>, time: SystemTime) -> impl Future<Output = Result<()>> {
        let work = Work::SleepUntil(unix_seconds(time));
        self.sleeping(Claim { name: name.into(), work, location: Location::caller() })
    }

    async fn sleeping(&self, claim: Claim) -> Result<()> {
        self.invocation.exchange.perform(claim).await?;
        Ok(())
    }
}

fn unix_seconds(time: SystemTime) -> f64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => after.as_secs_f64(),
        Err(before) => -before.duration().as_secs_f64(),
    }
}
