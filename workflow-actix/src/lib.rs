//! Serves durable workflows as routes of an actix-web app.
//!
//! [`serve`] turns a function with `#[workflow]` into a route, which is mounted like any other: in a scope, through a
//! `ServiceConfig`, behind middleware, with application data and extractors. [`attach`] tells the app which engine runs its
//! workflows, and the engine how it builds the app through which it reaches them.
//!
//! This crate only translates between actix-web and `workflow`; what a request means is decided there. The two are on
//! different versions of the crate `http`, so that methods, headers and statuses are translated by value.

mod attach;
mod rejection;
mod serve;
mod serve_many;
mod translate;
mod webhooks;
mod workers;

pub use self::{attach::attach, serve::serve, serve_many::serve_many, webhooks::webhooks};
