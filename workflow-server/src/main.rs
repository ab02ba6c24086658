//! The binary `workflow`.

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;
use workflow_server::{DevelopmentServer, ServeError};

/// Durable workflows.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the engine for development, on this machine only and with published credentials.
    Dev {
        /// Port on 127.0.0.1; 0 takes any that is free.
        #[arg(long, default_value_t = 8080)]
        port: u16,
        /// File that keeps the runs; created if it does not exist.
        #[arg(long, value_name = "FILE", default_value = "workflow-dev.db")]
        db: PathBuf,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_ansi(colours).init();
    let Arguments { command: Command::Dev { port, db } } = Arguments::parse();
    match dev(port, db).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing else can be done where even this cannot be written.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn dev(port: u16, db: PathBuf) -> Result<(), ServeError> {
    // From here on a signal ends the server in good order, however early it comes.
    let end = end_signal();
    let server = DevelopmentServer::open(port, &db).await?;
    // Whoever started the server may not read what it says.
    let _ = write!(
        io::stdout(),
        "The workflow engine listens on {} and keeps its runs in {}.\nSet these in the environment of your app:\n\n{}\n\
         Ctrl-C ends it; runs go on at the next start.\n",
        server.url(),
        db.display(),
        server.environment(),
    );
    let _ = io::stdout().flush();
    server.serve(end).await
}

/// Resolves when the process is asked to end.
#[cfg(unix)]
fn end_signal() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
    async move {
        match signals {
            [Ok(mut interrupt), Ok(mut terminate)] => {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            }
            // Without handlers the signals end the process at once, which loses nothing either.
            _ => std::future::pending().await,
        }
    }
}

/// Resolves when the process is asked to end.
#[cfg(not(unix))]
async fn end_signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending().await
    }
}
