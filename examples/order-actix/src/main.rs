//! The shop of `examples/order` in an actix-web app. Shop and story are the same files; [`workflows`] and this one differ.
//!
//! `cargo run -p order-actix-example` starts the app, plays four scenes with it, and keeps serving. With `QSTASH_TOKEN` set (and
//! `QSTASH_URL`, for an engine other than the hosted one) the same app runs on that engine instead of the embedded one.

mod api;
#[path = "../../order/src/shop.rs"]
mod shop;
#[path = "../../order/src/story.rs"]
mod story;
mod workflows;

use std::{net::TcpListener, path::PathBuf};

use actix_web::{App, HttpServer, rt, web};
use clap::Parser;
use workflow::{
    Client, EngineHandle,
    engine::{EngineKind, HttpEngine},
};
use workflow_actix::{attach, serve};
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
    #[arg(long, default_value_os_t = std::env::temp_dir().join("order-actix-example"))]
    data: PathBuf,
    /// End after the story.
    #[arg(long, conflicts_with = "serve")]
    once: bool,
    /// Tell no story, only serve.
    #[arg(long)]
    serve: bool,
}

type Error = Box<dyn std::error::Error>;

#[actix_web::main]
async fn main() -> Result<(), Error> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let options = Options::parse();
    std::fs::create_dir_all(&options.data)?;
    let listener = TcpListener::bind(("127.0.0.1", options.port))
        .map_err(|error| format!("cannot listen on port {}: {error}; choose another --port", options.port))?;
    let url = format!("http://{}", listener.local_addr()?);

    let (engine, api) = match HttpEngine::from_env()? {
        Some(elsewhere) => (EngineHandle::from(elsewhere), axum::Router::new()),
        None => {
            let embedded = Engine::builder().base_url(&url).open(options.data.join("engine.db"))?;
            (embedded.handle(), workflow_server::api(embedded, TOKEN))
        }
    };

    // What all workers share is made here, outside of the closure that builds the app for each of them.
    let shop = web::Data::new(Shop::new(options.data.join("ledger.txt")));
    let api = web::Data::new(api);
    let app = move || {
        let workflows = web::scope("/api")
            .route("/confirm-order", serve::<confirm_order>())
            .route("/process-order", serve::<process_order>())
            .route("/sell-order", serve::<sell_order>())
            .route("/ship-order", serve::<ship_order>());
        App::new()
            .app_data(shop.clone())
            .app_data(api.clone())
            .route("/", web::get().to(async || "An order shop. Its workflows are under /api.\n"))
            .service(workflows)
            .service(web::scope("/v2").default_service(web::to(api::forward)))
    };
    let server = HttpServer::new(attach(app, &engine)).listen(listener)?.run();
    let handle = server.handle();
    let server = rt::spawn(server);

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
    if options.once {
        handle.stop(true).await;
    }
    // It ends by itself on Ctrl-C and SIGTERM.
    server.await??;
    // What is not done yet goes on at the next start.
    engine.shutdown().await;
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
