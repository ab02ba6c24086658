//! Serves durable workflows as routes of an axum app.
//!
//! ```no_run
//! use axum::{Router, extract::State, routing::post};
//! use workflow::{WorkflowContext, workflow};
//! use workflow_axum::{attach, serve};
//! use workflow_engine::Engine;
//!
//! #[workflow]
//! async fn greet(ctx: WorkflowContext<String>, State(greeting): State<&'static str>) -> workflow::Result<String> {
//!     ctx.run("greet", async || Ok(format!("{greeting}, {}!", ctx.request_payload()))).await
//! }
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::open("app.db")?;
//! let app = Router::new().route("/api/greet", post(serve::<greet>())).with_state("Hello");
//! let app = attach(app, &engine.handle());
//! axum::serve(tokio::net::TcpListener::bind("127.0.0.1:3000").await?, app).await?;
//! # Ok(()) }
//! ```
//!
//! [`serve`] turns a function with `#[workflow]` into a handler, which is mounted like any other: in a nested router, behind
//! middleware, with state and extractors. [`attach`] tells the finished app which engine runs its workflows, and the engine
//! through which app it reaches them.
//!
//! This crate only translates between axum and `workflow`; what a request means is decided there.

mod attach;
mod serve;
mod serve_many;
mod webhooks;

pub use self::{
    attach::attach,
    serve::{WorkflowHandler, serve},
    serve_many::{WorkflowsHandler, serve_many},
    webhooks::webhooks,
};
