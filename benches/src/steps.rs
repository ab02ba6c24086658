//! Sequential steps (workload W1): runs of 1, 10 and 100 steps, 1 to 1,000 of them in flight.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{Outcome, app::App, bare, percentile};

const IN_FLIGHT: [usize; 4] = [1, 16, 128, 1000];

pub async fn run() -> Outcome {
    println!("steps: durable steps per second, runs in flight across; p50 and p99 of a whole run in ms");
    println!("{:>22} {:>24} {:>24} {:>24} {:>24}", "", 1, 16, 128, 1000);
    let folder = tempfile::tempdir()?;
    print!("{:>22}", "bare SQLite rows/s");
    let mut limits = Vec::new();
    for writers in IN_FLIGHT {
        let rows = if writers == 1 { 4_000 } else { 100_000 };
        let rate = bare::rows_per_second(folder.path(), writers, rows).await?;
        print!(" {rate:>24.0}");
        limits.push(rate);
    }
    println!();
    for count in [1_u32, 10, 100] {
        print!("{:>22}", format!("{count} steps a run"));
        for (in_flight, limit) in IN_FLIGHT.into_iter().zip(&limits) {
            let path = folder.path().join(format!("steps-{count}-{in_flight}.db"));
            let app = Arc::new(App::open(&path)?);
            let runs = runs_to_measure(in_flight, count);
            let (elapsed, mut latencies) = measure(&app, in_flight, runs, count).await?;
            app.engine.shutdown().await;
            let rate = runs as f64 * f64::from(count) / elapsed.as_secs_f64();
            let share = 100.0 * rate / limit;
            let (p50, p99) = (percentile(&mut latencies, 50), percentile(&mut latencies, 99));
            print!(" {:>24}", format!("{rate:.0} ({share:.0}%) {p50:.1}/{p99:.1}"));
        }
        println!();
    }
    Ok(())
}

/// Enough runs for about a second or two, whatever the speed.
fn runs_to_measure(in_flight: usize, count: u32) -> usize {
    let steps = if in_flight == 1 { 4_000 } else { 60_000 };
    (steps / count as usize).max(in_flight * 2)
}

async fn measure(
    app: &Arc<App>,
    in_flight: usize,
    runs: usize,
    count: u32,
) -> Result<(Duration, Vec<Duration>), Box<dyn std::error::Error + Send + Sync>> {
    let next = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..in_flight {
        let (app, next) = (Arc::clone(app), Arc::clone(&next));
        tasks.push(tokio::spawn(async move {
            let mut latencies = Vec::new();
            loop {
                let run = next.fetch_add(1, Ordering::Relaxed);
                if run >= runs {
                    return Ok::<_, workflow::ClientError>(latencies);
                }
                let began = Instant::now();
                app.run_steps(format!("{run:08}"), count).await?;
                latencies.push(began.elapsed());
            }
        }));
    }
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    Ok((started.elapsed(), latencies))
}
