//! Serves durable workflows as routes of an axum app.
//!
//! [`serve`] turns a function with `#[workflow]` into a handler, which is mounted like any other: in a nested router, behind
//! middleware, with state and extractors. [`attach`] tells the finished app which engine runs its workflows, and the engine
//! through which app it reaches them.
//!
//! This crate only translates between axum and `workflow`; what a request means is decided there.

mod attach;
mod serve;

pub use self::{
    attach::attach,
    serve::{WorkflowHandler, serve},
};
