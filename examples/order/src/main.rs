//! A shop whose orders survive crashes.
//!
//! `cargo run -p order-example` starts the app, plays four scenes with it, and keeps serving. With `QSTASH_TOKEN` set (and
//! `QSTASH_URL`, for an engine other than the hosted one) the same app runs on that engine instead of the embedded one.

mod shop;
mod story;
mod workflows;

use std::path::PathBuf;

use axum::{
    Router,
    routing::{get, post},
};
use clap::Parser;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use workflow::{
    Client, EngineHandle,
    engine::{EngineKind, HttpEngine},
};
use workflow_axum::{attach, serve};
use workflow_engine::Engine;

use crate::{
    shop::Shop,
    workflows::{confirm_order, process_order, sell_order, ship_order},
};

/// What clients of the embedded engine's HTTP API identify themselves with. A real app takes it from its configuration.
const TOKEN: &str = "order-example-token";

/// A shop whose orders survive crashes.
#[derive(Parser)]
struct Options {
    /// Port to listen on; 0 for any free one.
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// Folder for the engine's file and the shop's ledger.
    #[arg(long, default_value_os_t = std::env::temp_dir().join("order-example"))]
    data: PathBuf,
    /// End after the story.
    #[arg(long, conflicts_with = "serve")]
    once: bool,
    /// Tell no story, only serve.
    #[arg(long)]
    serve: bool,
}

type Error = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let options = Options::parse();
    std::fs::create_dir_all(&options.data)?;
    let listener = TcpListener::bind(("127.0.0.1", options.port))
        .await
        .map_err(|error| format!("cannot listen on port {}: {error}; choose another --port", options.port))?;
    let url = format!("http://{}", listener.local_addr()?);

    let shop = Shop::new(options.data.join("ledger.txt"));
    let app = Router::new()
        .route("/", get(async || "An order shop. Its workflows are under /api.\n"))
        .route("/api/confirm-order", post(serve::<confirm_order>()))
        .route("/api/process-order", post(serve::<process_order>()))
        .route("/api/sell-order", post(serve::<sell_order>()))
        .route("/api/ship-order", post(serve::<ship_order>()))
        .with_state(shop);

    let (engine, api) = match HttpEngine::from_env()? {
        Some(elsewhere) => (EngineHandle::from(elsewhere), Router::new()),
        None => {
            let embedded = Engine::builder().base_url(&url).open(options.data.join("engine.db"))?;
            (embedded.handle(), workflow_server::api(embedded, TOKEN))
        }
    };
    let app = attach(app, &engine).merge(api);

    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let stopped = async { stopped.await.unwrap_or_default() };
    let server = tokio::spawn(axum::serve(listener, app).with_graceful_shutdown(stopped).into_future());
    let keeper = match engine.kind() {
        EngineKind::Embedded(_) => "the engine in this process",
        EngineKind::Http(_) => "the engine that QSTASH_URL names",
    };
    println!("Process {} serves the shop at {url}, on {keeper}.", std::process::id());
    println!("Its files are in {}.", options.data.display());

    if !options.serve {
        story::tell(&url, &options.data).await?;
        if !options.once {
            story::show_what_to_try(&url);
        }
    }
    if !options.once {
        asked_to_stop().await?;
    }
    // What is not done yet goes on at the next start.
    engine.shutdown().await;
    drop(stop);
    server.await??;
    Ok(())
}

/// A client over HTTP for the workflows of the app at `url`: of the engine that the environment names, or of the embedded one.
fn client(url: &str) -> Result<Client, Error> {
    let client = match HttpEngine::from_env()? {
        Some(elsewhere) => elsewhere.client(),
        None => Client::new(url, TOKEN)?,
    };
    Ok(client.workflows_at(format!("{url}/api")))
}

async fn asked_to_stop() -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}
