//! The Upstash Workflow wire protocol: steps, histories, headers, signatures and durations.
//!
//! Both sides use it: the endpoint in this crate, and the engine that delivers to it.

pub mod duration;
pub mod headers;
mod history;
mod results;
pub mod run_id;
pub mod signature;
mod step;

pub use self::{
    history::{HistoryError, StepDelivery},
    results::{CallOut, InvokeOut, Webhook, WebhookOut},
    step::{Step, StepType},
};
