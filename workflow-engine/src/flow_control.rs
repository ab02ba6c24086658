//! Looking at flow control and changing it by hand (protocol, section C.7).

use workflow::client::{FlowControlChange, FlowControlInfo, GlobalParallelism};

use crate::{command::ChangeFlowControl, engine::Engine, error::EngineError};

impl Engine {
    /// The flow-control keys that are or were just in use, or have something pinned, in their order.
    pub fn flow_controls(&self) -> Vec<FlowControlInfo> {
        self.inner.dispatcher.gates().list()
    }

    /// What there is to know of a flow-control key. One that is not in use has no limits and counts nothing.
    pub fn flow_control(&self, key: &str) -> FlowControlInfo {
        self.inner.dispatcher.gates().info(key)
    }

    /// Pauses a flow-control key, pins its limits, or the like. It holds when this returns, and survives a restart (but for the
    /// reset of a rate, which is about the present only).
    ///
    /// # Errors
    /// [`EngineError::Invalid`] for a key or a limit that makes no sense.
    pub async fn change_flow_control(&self, key: &str, change: FlowControlChange) -> Result<(), EngineError> {
        let command = ChangeFlowControl::new(key, change)?;
        if change == FlowControlChange::ResetRate {
            self.inner.dispatcher.gates().reset_rate(key);
            return Ok(());
        }
        self.inner.writer.submit(command).await
    }

    /// How many deliveries to the app of this process are being made, and may be. Deliveries over HTTP are limited by origin.
    pub fn global_parallelism(&self) -> GlobalParallelism {
        self.inner.dispatcher.parallelism()
    }
}
