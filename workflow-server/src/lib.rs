//! The engine over HTTP: the REST API of the Upstash Workflow protocol, and what the binary `workflow` is made of.
//!
//! [`api`] is a router for any axum app that has an embedded engine:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = workflow_engine::Engine::open("workflow.db")?;
//! let app = axum::Router::new().merge(workflow_server::api(engine, "a long random token"));
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
//! axum::serve(listener, app).await?;
//! # Ok(())
//! # }
//! ```

mod api;
mod development;

pub use self::{
    api::{Api, DEFAULT_BODY_LIMIT},
    development::{
        DEVELOPMENT_CURRENT_SIGNING_KEY, DEVELOPMENT_NEXT_SIGNING_KEY, DEVELOPMENT_TOKEN, DevelopmentServer,
        ServeError,
    },
};

/// The API of `engine` under `/v2`, for requests with the bearer `token`.
///
/// See [`Api`] for settings. The router claims nothing but paths below `/v2/`, so that it can be merged into any app.
pub fn api(engine: workflow_engine::Engine, token: impl Into<String>) -> axum::Router {
    Api::new(engine, token).into_router()
}
