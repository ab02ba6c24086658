//! How fast the embedded engine is, beside the bare limit of SQLite with the same settings on the same machine in the same run.
//!
//! `cargo run --release -p workflow-benches` runs everything; name sections to run some: `steps notify growth memory restart`.
//! The machines that this runs on are noisy: compare ratios within one run, not figures of different runs.

mod app;
mod bare;
mod growth;
mod memory;
mod notify;
mod restart;
mod steps;

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome {
    let chosen: Vec<String> = std::env::args().skip(1).filter(|section| !section.starts_with('-')).collect();
    let wants = |section: &str| chosen.is_empty() || chosen.iter().any(|name| name == section);
    if wants("steps") {
        steps::run().await?;
    }
    if wants("notify") {
        notify::run().await?;
    }
    if wants("growth") {
        growth::run().await?;
    }
    if wants("memory") {
        memory::run().await?;
    }
    if wants("restart") {
        restart::run().await?;
    }
    Ok(())
}

/// The `percent`th percentile of some durations, in milliseconds.
fn percentile(durations: &mut [std::time::Duration], percent: usize) -> f64 {
    durations.sort_unstable();
    let last = durations.len().saturating_sub(1);
    durations.get(last * percent / 100).map_or(f64::NAN, |duration| duration.as_secs_f64() * 1000.0)
}
