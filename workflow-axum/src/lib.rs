//! Serves durable workflows as routes of an axum app.
//!
//! [`serve`] turns a function with `#[workflow]` into a handler, which is mounted like any other: in a nested router, behind
//! middleware, with state and extractors. [`attach`] tells the finished app which engine runs its workflows, and the engine
//! through which app it reaches them.
//!
//! This crate only translates between axum and `workflow`; what a request means is decided there.

// The programs of the README are compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
enum Readme {}

mod attach;
mod serve;

pub use self::{
    attach::attach,
    serve::{WorkflowHandler, serve},
};
