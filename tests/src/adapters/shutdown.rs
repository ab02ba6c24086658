//! The process is asked to end: first the server, then the engine.

use std::time::Duration;

use workflow::client::RunState;

use super::{Act, Harness, Site, site::errors};
use crate::Probe;

/// A delivery over HTTP is one.
pub async fn an_open_request_is_answered<H: Harness>() {
    let site = Site::<H>::over_http().await;
    let trigger = site.client.trigger_url("/play", &Act::Hold).header("x-caller", "ada").retries(0);
    let run = trigger.await.unwrap().workflow_run_id;
    site.probe.reached("held", 1).await;
    let (probe, engine) = (site.probe.clone(), site.engine.clone());
    let stopping = tokio::spawn(site.stop());
    probe.open("held");
    stopping.await.unwrap();
    // The step's result has reached the engine, which finds nobody at home for the next delivery.
    let log = crate::eventually("the run fails", async || {
        let log = engine.client().run(&run).await.unwrap()?;
        (log.workflow_state == RunState::RunFailed).then_some(log)
    })
    .await;
    let steps: Vec<_> = log.steps.iter().flat_map(|group| &group.steps).collect();
    assert!(steps.iter().any(|step| step.step_name.as_deref() == Some("held")), "{log:#?}");
    assert!(errors(&log).iter().all(|error| error.status == 0), "no delivery was cut off: {log:#?}");
    engine.shutdown().await;
}

/// In process a step may take its time, though the server has ended.
pub async fn a_step_that_runs_ends_and_is_recorded<H: Harness>() {
    let folder = tempfile::tempdir().unwrap();
    let (run, probe) = hold::<H>(&folder.path().join("engine.db"), async |site: Site<H>| {
        let (engine, probe) = (site.engine.clone(), site.probe.clone());
        site.stop().await;
        let ending = tokio::spawn(async move { engine.shutdown().await });
        probe.open("held");
        ending.await.unwrap();
    })
    .await;
    let site = Site::<H>::on_file(&folder.path().join("engine.db"), probe).await;
    assert_eq!(site.output::<String>(&run).await, "1 after");
    assert_eq!(site.probe.count("held"), 1);
    assert_eq!(errors(&site.log(&run).await), []);
}

/// It fails no run.
pub async fn an_interrupted_step_runs_again_at_the_next_start<H: Harness>() {
    let folder = tempfile::tempdir().unwrap();
    let (run, probe) = hold::<H>(&folder.path().join("engine.db"), async |site: Site<H>| {
        let (engine, probe) = (site.engine.clone(), site.probe.clone());
        site.stop().await;
        engine.shutdown_within(Duration::ZERO).await;
        probe.left("held").await;
    })
    .await;
    probe.open("held");
    let site = Site::<H>::on_file(&folder.path().join("engine.db"), probe).await;
    assert_eq!(site.output::<String>(&run).await, "1 after");
    assert_eq!(site.probe.count("held"), 2);
    assert_eq!(errors(&site.log(&run).await), []);
}

/// Ends an app in its own way while a run is held in a step.
async fn hold<H: Harness>(file: &std::path::Path, end: impl AsyncFnOnce(Site<H>)) -> (String, Probe) {
    let site = Site::<H>::on_file(file, Probe::default()).await;
    let probe = site.probe.clone();
    let trigger = site.client.trigger_url("/play", &Act::Hold).header("x-caller", "ada").retries(0);
    let run = trigger.await.unwrap().workflow_run_id;
    probe.reached("held", 1).await;
    end(site).await;
    (run, probe)
}
