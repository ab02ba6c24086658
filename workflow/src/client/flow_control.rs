//! Looking at and changing the limits of flow-control keys while they are in use (protocol, section C.7).

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{ClientError, Transport};

/// What there is to know of a flow-control key.
///
/// A limit of 0 means that there is none: the engine has seen nobody who asks for it since it was started, and none is pinned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct FlowControlInfo {
    /// The key.
    pub flow_control_key: String,
    /// How many wait for their turn.
    pub wait_list_size: u64,
    /// How many may be under way at once.
    pub parallelism_max: u32,
    /// How many are.
    pub parallelism_count: u32,
    /// How many may begin in a period.
    pub rate_max: u32,
    /// How many have begun in the current one.
    pub rate_count: u32,
    /// How long a period is, in seconds.
    pub rate_period: u64,
    /// When the current one began, in unix seconds; 0 if none goes on.
    pub rate_period_start: i64,
    /// Whether nothing may begin.
    pub is_paused: bool,
    /// Whether `parallelism_max` was pinned.
    pub is_pinned_parallelism: bool,
    /// Whether `rate_max` was pinned.
    pub is_pinned_rate: bool,
}

/// How many deliveries are being made at once, whatever their keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GlobalParallelism {
    /// How many may be.
    pub parallelism_max: u32,
    /// How many are.
    pub parallelism_count: u32,
}

/// A change of a flow-control key. It survives a restart of the engine, but for [`FlowControlChange::ResetRate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowControlChange {
    /// Nothing begins any more; what is under way goes on.
    Pause,
    /// Things begin again.
    Resume,
    /// Sets limits that come before those that triggers and calls ask for. What is absent stays as it is.
    Pin {
        /// How many may be under way at once.
        parallelism: Option<u32>,
        /// How many may begin in a period.
        rate: Option<u32>,
        /// The period of the rate: whole seconds.
        period: Option<Duration>,
    },
    /// Lets triggers and calls say again what the limits are.
    Unpin {
        /// Those of the parallelism.
        parallelism: bool,
        /// Those of the rate and its period.
        rate: bool,
    },
    /// Begins a new period of the rate at once.
    ResetRate,
}

/// The flow control of an engine; made by [`Client::flow_control`](super::Client::flow_control).
///
/// ```no_run
/// # async fn example(client: workflow::Client) -> Result<(), workflow::ClientError> {
/// let limits = client.flow_control();
/// limits.pause("mail").await?;
/// println!("{} wait", limits.get("mail").await?.wait_list_size);
/// limits.pin_parallelism("mail", 2).await?;
/// limits.resume("mail").await?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// All of its methods give [`ClientError::Refused`] with status 400 for a key or a limit that makes no sense, and
/// [`ClientError::Unreachable`].
#[derive(Clone)]
pub struct FlowControlClient {
    transport: Arc<dyn Transport>,
}

impl std::fmt::Debug for FlowControlClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FlowControlClient")
    }
}

impl FlowControlClient {
    pub(super) fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport }
    }

    /// The keys that are or were just in use, or have something pinned, in their order.
    ///
    /// # Errors
    /// See [`FlowControlClient`].
    pub async fn list(&self) -> Result<Vec<FlowControlInfo>, ClientError> {
        self.transport.flow_controls().await
    }

    /// One key. One that is not in use has no limits and counts nothing.
    ///
    /// # Errors
    /// See [`FlowControlClient`].
    pub async fn get(&self, key: &str) -> Result<FlowControlInfo, ClientError> {
        self.transport.flow_control(key).await
    }

    /// Lets nothing of this key begin; what is under way goes on.
    ///
    /// # Errors
    /// See [`FlowControlClient`].
    pub async fn pause(&self, key: &str) -> Result<(), ClientError> {
        self.change(key, FlowControlChange::Pause).await
    }

    /// Ends a [pause](Self::pause).
    ///
    /// # Errors
    /// See [`FlowControlClient`].
    pub async fn resume(&self, key: &str) -> Result<(), ClientError> {
        self.change(key, FlowControlChange::Resume).await
    }

    /// Sets how many of this key may be under way at once, whatever triggers and calls ask for.
    ///
    /// # Errors
    /// See [`FlowControlClient`].
    pub async fn pin_parallelism(&self, key: &str, parallelism: u32) -> Result<(), ClientError> {
        let change = FlowControlChange::Pin { parallelism: Some(parallelism), rate: None, period: None };
        self.change(key, change).await
    }

    /// Sets how many of this key may begin in a period, whatever triggers and calls ask for.
    ///
    /// # Errors
    /// See [`FlowControlClient`].
    pub async fn pin_rate(&self, key: &str, rate: u32, period: Duration) -> Result<(), ClientError> {
        let change = FlowControlChange::Pin { parallelism: None, rate: Some(rate), period: Some(period) };
        self.change(key, change).await
    }

    /// Forgets the pinned limits of this key.
    ///
    /// # Errors
    /// See [`FlowControlClient`].
    pub async fn unpin(&self, key: &str) -> Result<(), ClientError> {
        self.change(key, FlowControlChange::Unpin { parallelism: true, rate: true }).await
    }

    /// Begins a new period of the rate at once.
    ///
    /// # Errors
    /// See [`FlowControlClient`].
    pub async fn reset_rate(&self, key: &str) -> Result<(), ClientError> {
        self.change(key, FlowControlChange::ResetRate).await
    }

    /// Changes a key; the other methods say the same in fewer words.
    ///
    /// # Errors
    /// See [`FlowControlClient`].
    pub async fn change(&self, key: &str, change: FlowControlChange) -> Result<(), ClientError> {
        self.transport.change_flow_control(key, change).await
    }

    /// How many deliveries are being made at once, whatever their keys.
    ///
    /// # Errors
    /// See [`FlowControlClient`].
    pub async fn global_parallelism(&self) -> Result<GlobalParallelism, ClientError> {
        self.transport.global_parallelism().await
    }
}
