//! The engine for development: on this machine only, with credentials that everybody knows.
//!
//! Projects that are set up for the official development server find here the address, the token and the signing keys that
//! they expect.

use std::{
    future::Future,
    io,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
};

use axum::{http::StatusCode, response::IntoResponse};
use tokio::net::TcpListener;
pub use workflow::client::{
    DEVELOPMENT_CURRENT_SIGNING_KEY, DEVELOPMENT_NEXT_SIGNING_KEY, DEVELOPMENT_TOKEN,
};
use workflow_engine::{Engine, EngineError};

use crate::Api;

/// Why the development server does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// Another process listens there.
    #[error("port {0} is in use: is another `workflow dev` running? End it, or choose a port with `--port`")]
    PortInUse(u16),
    /// The port cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, #[source] io::Error),
    /// The engine does not open.
    #[error("the engine could not be opened: {0}")]
    Engine(#[from] EngineError),
    /// The listener failed.
    #[error("the server failed: {0}")]
    Serve(#[source] io::Error),
}

/// A development server that listens but does not answer yet.
pub struct DevelopmentServer {
    engine: Engine,
    listener: TcpListener,
    address: SocketAddr,
}

impl DevelopmentServer {
    /// Listens on 127.0.0.1 at `port` (0: any that is free) and opens the engine on the file `database`.
    ///
    /// # Errors
    /// If the port or the file is in use, or cannot be opened.
    pub async fn open(port: u16, database: &Path) -> Result<Self, ServeError> {
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let listener = TcpListener::bind(wanted).await.map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => ServeError::PortInUse(port),
            _ => ServeError::Listen(wanted, error),
        })?;
        let address = listener.local_addr().map_err(|error| ServeError::Listen(wanted, error))?;
        let engine = Engine::builder()
            .signing_keys(DEVELOPMENT_CURRENT_SIGNING_KEY, DEVELOPMENT_NEXT_SIGNING_KEY)
            .open(database)?;
        Ok(Self { engine, listener, address })
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The environment by which an app finds the server, as lines of `NAME="value"`.
    pub fn environment(&self) -> String {
        let url = self.url();
        let lines = [
            ("QSTASH_URL", url.as_str()),
            ("QSTASH_TOKEN", DEVELOPMENT_TOKEN),
            ("QSTASH_CURRENT_SIGNING_KEY", DEVELOPMENT_CURRENT_SIGNING_KEY),
            ("QSTASH_NEXT_SIGNING_KEY", DEVELOPMENT_NEXT_SIGNING_KEY),
        ];
        lines.map(|(name, value)| format!("{name}=\"{value}\"\n")).concat()
    }

    /// Serves until `end` resolves. Then running deliveries may end, while the API still takes what they submit; everything
    /// else stays in the file for the next start.
    ///
    /// # Errors
    /// If the listener fails.
    pub async fn serve(self, end: impl Future<Output = ()> + Send + 'static) -> Result<(), ServeError> {
        let api = Api::new(self.engine.clone(), DEVELOPMENT_TOKEN).without_app().into_router();
        let app = api.fallback(nothing_here);
        let engine = self.engine;
        let drained = async move {
            end.await;
            engine.shutdown().await;
        };
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(self.listener, app).with_graceful_shutdown(drained).await.map_err(ServeError::Serve)
    }
}

async fn nothing_here() -> impl IntoResponse {
    let error = serde_json::json!({ "error": "there is nothing at this path; the API is below /v2/" });
    (StatusCode::NOT_FOUND, axum::Json(error))
}
