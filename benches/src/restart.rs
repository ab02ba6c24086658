//! Restart (workload W5): how long after an abrupt end a notified run is done, with 100,000 runs waiting.

use std::time::{Duration, Instant};

use crate::{Outcome, app::App};

pub async fn run() -> Outcome {
    const WAITING: usize = 100_000;
    println!("\nrestart: with {WAITING} runs waiting");
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("restart.db");
    let mut app = App::open(&path)?;
    app.start_waiting((0..WAITING).map(|run| (format!("{run:08}"), format!("event-{run}")))).await?;
    app.engine.shutdown_within(Duration::ZERO).await;
    drop(app);

    let began = Instant::now();
    let app = App::open(&path)?;
    let opened = began.elapsed();
    let ended = app.expect_end("00050000");
    app.client.notify("event-50000", "done").await?;
    ended.await?;
    println!(
        "opened after {:.1} ms, a notified run done after {:.1} ms",
        opened.as_secs_f64() * 1000.0,
        began.elapsed().as_secs_f64() * 1000.0
    );
    app.engine.shutdown().await;
    Ok(())
}
