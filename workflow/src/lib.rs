//! Durable workflows as ordinary routes of a Rust web app.
//!
//! ```
//! use serde::{Deserialize, Serialize};
//! use std::time::Duration;
//! use workflow::{WaitResult, WorkflowContext, workflow};
//!
//! #[derive(Deserialize, Serialize)]
//! struct Order {
//!     id: u64,
//! }
//!
//! #[derive(Deserialize, Serialize)]
//! struct Payment {
//!     cents: u64,
//! }
//!
//! #[workflow]
//! async fn process_order(ctx: WorkflowContext<Order>) -> workflow::Result<u64> {
//!     let order = ctx.request_payload();
//!     let reserved = ctx.run("reserve", async || Ok(order.id * 10)).await?;
//!     let paid = ctx
//!         .wait_for_event::<Payment>("payment", format!("payment-{}", order.id), Duration::from_secs(86_400))
//!         .await?;
//!     match paid {
//!         WaitResult::Received(payment) => Ok(reserved + payment.cents),
//!         WaitResult::TimedOut => Err(workflow::Error::non_retryable("nobody paid within a day")),
//!     }
//! }
//! ```
//!
//! An adapter mounts it in the app, with an engine that records its steps; its further parameters are then extractors of the
//! web framework. With axum, that is `workflow_axum`:
//!
//! ```text
//! let engine = Engine::open("shop.db")?;
//! let app = Router::new().route("/api/process-order", post(serve::<process_order>()));
//! let app = attach(app, &engine.handle());
//! ```
//!
//! Runs are started by a `POST` to that route, or by type:
//!
//! ```
//! # use serde::{Deserialize, Serialize};
//! # use workflow::{Client, WorkflowContext, workflow};
//! # #[derive(Deserialize, Serialize)]
//! # struct Order { id: u64 }
//! # #[workflow]
//! # async fn process_order(ctx: WorkflowContext<Order>) -> workflow::Result<u64> { Ok(ctx.request_payload().id) }
//! # async fn start(client: Client) -> Result<(), workflow::ClientError> {
//! let client = client.workflows_at("/api");
//! let run = client.trigger::<process_order>(&Order { id: 7 }).await?;
//! client.notify("payment-7", &serde_json::json!({ "cents": 995 })).run_id(&run.workflow_run_id).await?;
//! # Ok(()) }
//! ```
//!
//! The function does its work in *steps*. The result of a step is recorded before the function goes on; after a crash, a
//! deploy or a wait of any length the function is called again, takes the recorded results instead of doing the work a
//! second time, and goes on where it was. A step runs at least once; the result that is recorded is used exactly once.
//!
//! The pieces: [`WorkflowContext`] is what the function works with, [`Client`] starts and notifies runs from outside,
//! [`Event`] ties the id of an event to the type of its data, [`engine`] is the seam to the engine that records the steps,
//! [`protocol`] is the wire format, and [`endpoint`] is what the adapters of the web frameworks call. [`testing`] checks in
//! the tests of an app that changed code still fits the runs that are on their way.

pub mod client;
mod context;
mod driver;
pub mod endpoint;
pub mod engine;
mod error;
mod event;
mod failure;
mod flow_control;
mod hooks;
mod json;
mod options;
pub mod protocol;
mod replay;
pub mod testing;
mod workflow;

pub use workflow_macros::{Event, workflow};

pub use self::{
    client::{Client, ClientError},
    context::{
        CallResponse, CallStep, InvokeResult, InvokeStep, Notify, NotifyStep, RunStep, StepBody, StepBuilder,
        StepFailure, StepResult, WaitResult, WaitStep, WebhookRequest, WebhookStep, WorkflowContext, api,
    },
    engine::EngineHandle,
    error::{Error, Result},
    event::{Event, EventId, EventName},
    failure::FailedRun,
    flow_control::{FlowControl, FlowControlError},
    hooks::Hooks,
    options::{FlowLimits, WorkflowOptions},
    workflow::{PayloadError, Workflow},
};

/// What the code that `#[workflow]` writes names. No part of the public interface.
#[doc(hidden)]
pub mod __private {
    pub use bytes::Bytes;

    pub use crate::{
        FlowLimits, WorkflowOptions,
        event::{IdPart, IdValue, OwnPart, Piece, event_id, own_part},
        workflow::{
            Parsed, PayloadError, PayloadOf, WorkflowFn, failure_call, failure_result, parsed, validated,
        },
    };
}
