//! Notifications (workload W2): from the notify call until the waiting run has completed.

use std::{sync::Arc, time::Instant};

use crate::{Outcome, app::App, percentile};

pub async fn run() -> Outcome {
    println!("\nnotify: from the call until the notified run has completed");
    for waiting in [1_000_usize, 10_000] {
        one_at_a_time(waiting).await?;
        in_parallel(waiting).await?;
        broadcast(waiting).await?;
    }
    Ok(())
}

async fn waiting_app(
    folder: &tempfile::TempDir,
    waiting: usize,
    event: impl Fn(usize) -> String,
) -> Result<App, Box<dyn std::error::Error + Send + Sync>> {
    let mut app = App::open(&folder.path().join("notify.db"))?;
    app.start_waiting((0..waiting).map(|run| (format!("{run:08}"), event(run)))).await?;
    Ok(app)
}

async fn one_at_a_time(waiting: usize) -> Outcome {
    let folder = tempfile::tempdir()?;
    let app = waiting_app(&folder, waiting, |run| format!("event-{run}")).await?;
    let mut latencies = Vec::new();
    for run in 0..1_000 {
        let ended = app.expect_end(&format!("{run:08}"));
        let began = Instant::now();
        app.client.notify(format!("event-{run}"), "done").await?;
        ended.await?;
        latencies.push(began.elapsed());
    }
    let (p50, p99) = (percentile(&mut latencies, 50), percentile(&mut latencies, 99));
    println!("{waiting:>7} waiting, one at a time:       p50 {p50:.2} ms, p99 {p99:.2} ms");
    app.engine.shutdown().await;
    Ok(())
}

async fn in_parallel(waiting: usize) -> Outcome {
    const NOTIFIERS: usize = 64;
    let folder = tempfile::tempdir()?;
    let app = Arc::new(waiting_app(&folder, waiting, |run| format!("event-{run}")).await?);
    let began = Instant::now();
    let mut tasks = Vec::new();
    for first in 0..NOTIFIERS {
        let app = Arc::clone(&app);
        tasks.push(tokio::spawn(async move {
            let mut latencies = Vec::new();
            for run in (first..waiting).step_by(NOTIFIERS) {
                let ended = app.expect_end(&format!("{run:08}"));
                let began = Instant::now();
                app.client.notify(format!("event-{run}"), "done").await?;
                let _ = ended.await;
                latencies.push(began.elapsed());
            }
            Ok::<_, workflow::ClientError>(latencies)
        }));
    }
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await??);
    }
    let rate = waiting as f64 / began.elapsed().as_secs_f64();
    let (p50, p99) = (percentile(&mut latencies, 50), percentile(&mut latencies, 99));
    println!(
        "{waiting:>7} waiting, {NOTIFIERS} notifies in flight: {rate:.0} completed runs/s, p50 {p50:.2} ms, p99 {p99:.2} ms"
    );
    app.engine.shutdown().await;
    Ok(())
}

async fn broadcast(waiting: usize) -> Outcome {
    let folder = tempfile::tempdir()?;
    let app = waiting_app(&folder, waiting, |_| "everybody".to_owned()).await?;
    let ends: Vec<_> = (0..waiting).map(|run| app.expect_end(&format!("{run:08}"))).collect();
    let began = Instant::now();
    let notified = app.client.notify("everybody", "done").await?;
    let answered = began.elapsed();
    for ended in ends {
        ended.await?;
    }
    println!(
        "{waiting:>7} waiting for one event:       {} notified, answered after {:.0} ms, all completed after {:.0} ms",
        notified.len(),
        answered.as_secs_f64() * 1000.0,
        began.elapsed().as_secs_f64() * 1000.0
    );
    app.engine.shutdown().await;
    Ok(())
}
