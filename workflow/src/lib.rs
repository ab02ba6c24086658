//! Durable workflows as ordinary routes of a Rust web app.
//!
//! A workflow is an async function that does its work in *steps*. The result of a step is recorded before the function
//! goes on; after a crash, a deploy or a wait of any length the function is called again, takes the recorded results
//! instead of doing the work a second time, and goes on where it was. A step runs at least once; the result that is
//! recorded is used exactly once.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use std::time::Duration;
//! use workflow::{WaitResult, WorkflowContext};
//!
//! #[derive(Deserialize)]
//! struct Order {
//!     id: u64,
//! }
//!
//! #[derive(Deserialize, Serialize)]
//! struct Payment {
//!     cents: u64,
//! }
//!
//! async fn process_order(ctx: WorkflowContext<Order>) -> workflow::Result<u64> {
//!     let order = ctx.request_payload();
//!     let reserved = ctx.run("reserve", async || Ok(order.id * 10)).await?;
//!     let paid = ctx
//!         .wait_for_event::<Payment>("payment", format!("order-{}", order.id), Duration::from_secs(86_400))
//!         .await?;
//!     match paid {
//!         WaitResult::Received(payment) => Ok(reserved + payment.cents),
//!         WaitResult::TimedOut => Err(workflow::Error::non_retryable("nobody paid within a day")),
//!     }
//! }
//! ```
//!
//! The pieces: [`WorkflowContext`] is what the function works with, [`Client`] starts and notifies runs from outside,
//! [`engine`] is the seam to the engine that records the steps, [`protocol`] is the wire format, and [`endpoint`] is what
//! the adapters of the web frameworks call.

pub mod client;
mod context;
mod driver;
pub mod endpoint;
pub mod engine;
mod error;
mod json;
mod options;
pub mod protocol;
mod replay;
mod workflow;

pub use workflow_macros::workflow;

pub use self::{
    client::{Client, ClientError},
    context::{Notify, NotifyStep, StepBuilder, StepFailure, WaitResult, WorkflowContext},
    engine::EngineHandle,
    error::{Error, Result},
    options::WorkflowOptions,
    workflow::Workflow,
};

/// What the code that `#[workflow]` writes names. No part of the public interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::{
        Result, Workflow, WorkflowContext, WorkflowOptions,
        workflow::{ContextArg, ReturnType},
    };
}
