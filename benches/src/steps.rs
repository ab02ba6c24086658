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
    println!(
        "steps: runs in flight across; durable steps per second (share of the bare limit), p50/p99 of a whole run in ms, CPU per"
    );
    println!("step in microseconds (client, engine and workflow together)");
    println!("{:>18} {:>34} {:>34} {:>34} {:>34}", "", 1, 16, 128, 1000);
    let folder = tempfile::tempdir()?;
    print!("{:>18}", "bare SQLite rows/s");
    let mut limits = Vec::new();
    for writers in IN_FLIGHT {
        let rows = if writers == 1 { 4_000 } else { 100_000 };
        let rate = bare::rows_per_second(folder.path(), writers, rows).await?;
        print!(" {rate:>34.0}");
        limits.push(rate);
    }
    println!();
    for count in [1_u32, 10, 100] {
        print!("{:>18}", format!("{count} steps a run"));
        for (in_flight, limit) in IN_FLIGHT.into_iter().zip(&limits) {
            let path = folder.path().join(format!("steps-{count}-{in_flight}.db"));
            let app = Arc::new(App::open(&path)?);
            let runs = runs_to_measure(in_flight, count);
            let before = cpu_seconds()?;
            let (elapsed, mut latencies) = measure(&app, in_flight, runs, count).await?;
            let cpu = (cpu_seconds()? - before) * 1e6 / (runs as f64 * f64::from(count));
            app.engine.shutdown().await;
            let rate = runs as f64 * f64::from(count) / elapsed.as_secs_f64();
            let share = 100.0 * rate / limit;
            let (p50, p99) = (percentile(&mut latencies, 50), percentile(&mut latencies, 99));
            print!(" {:>34}", format!("{rate:.0} ({share:.0}%) {p50:.1}/{p99:.1} ms {cpu:.0} us"));
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

/// CPU time of the process, from `/proc` (Linux only), in ticks of a hundredth of a second.
fn cpu_seconds() -> Result<f64, Box<dyn std::error::Error + Send + Sync>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').ok_or("no fields")?;
    let ticks: Vec<f64> =
        fields.split_whitespace().skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() / 100.0)
}
