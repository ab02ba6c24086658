//! Growth (workload W3): one run of ever more steps. The time per step must stay the same.

use std::time::Instant;

use crate::{Outcome, app::App};

pub async fn run() -> Outcome {
    println!("\ngrowth: one run");
    let folder = tempfile::tempdir()?;
    let app = App::open(&folder.path().join("growth.db"))?;
    for count in [10_u32, 100, 1_000, 10_000] {
        let began = Instant::now();
        app.run_steps(format!("{count}"), count).await?;
        let elapsed = began.elapsed().as_secs_f64() * 1000.0;
        println!("{count:>7} steps: {elapsed:>8.1} ms, {:.3} ms a step", elapsed / f64::from(count));
    }
    app.engine.shutdown().await;
    Ok(())
}
