//! Memory (workload W4): what waiting runs cost the process.

use crate::{Outcome, app::App};

pub async fn run() -> Outcome {
    println!("\nmemory: resident memory of the process, beyond that of the engine without runs");
    let folder = tempfile::tempdir()?;
    let mut app = App::open(&folder.path().join("memory.db"))?;
    app.start_waiting((0..1000).map(|run| (format!("warm-{run}"), format!("warm-{run}")))).await?;
    let empty = resident_bytes()?;
    let mut waiting = 0;
    for goal in [10_000_usize, 100_000] {
        app.start_waiting((waiting..goal).map(|run| (format!("{run:08}"), format!("event-{run}")))).await?;
        waiting = goal;
        let more = resident_bytes()?.saturating_sub(empty);
        println!(
            "{waiting:>7} waiting: {:>6.1} MiB, {} bytes a run",
            more as f64 / 1_048_576.0,
            more / waiting
        );
    }
    app.engine.shutdown().await;
    Ok(())
}

/// The process's resident set, from `/proc` (Linux only).
fn resident_bytes() -> Result<usize, Box<dyn std::error::Error + Send + Sync>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    let kib: usize = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024)
}
