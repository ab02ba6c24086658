//! Deliveries of an engine in the same process are requests like others.

use workflow::client::RunState;

use super::{Act, Harness, REFUSED, REFUSES, Site};

/// The headers of the trigger are on each delivery.
pub async fn extractors_see_the_runs_headers_on_every_delivery<H: Harness>() {
    let site = Site::<H>::embedded().await;
    let run = site.client.trigger_url("/play", &Act::Twice).header("X-Caller", "grace").await.unwrap();
    site.tell("go").await;
    assert_eq!(site.output::<String>(&run.workflow_run_id).await, "grace and grace");
    assert_eq!(site.probe.count("play"), 2);
}

/// The middleware decides before the workflow does.
pub async fn every_delivery_passes_the_apps_middleware<H: Harness>() {
    let site = Site::<H>::embedded().await;
    let direct = site.send("POST", "/play", &[("x-caller", "ada"), (REFUSES, "yes")], "\"Greet\"").await;
    assert_eq!(direct.status, REFUSED);

    let trigger =
        site.client.trigger_url("/play", &Act::Greet).header("x-caller", "ada").header(REFUSES, "yes");
    let run = trigger.retries(0).await.unwrap().workflow_run_id;
    let errors = site.failure(&run).await;
    assert_eq!(errors.iter().map(|error| error.status).collect::<Vec<_>>(), [REFUSED]);
    assert_eq!(site.probe.count("play"), 0);
}

/// None waits for the end of another.
pub async fn many_runs_go_on_at_once<H: Harness>() {
    let site = Site::<H>::embedded().await;
    let hold = || site.client.trigger_url("/play", &Act::Hold).header("x-caller", "ada");
    let runs = site.client.trigger_many((0..100).map(|_| hold())).await.unwrap();
    site.probe.reached("held", 100).await;
    site.probe.open("held");
    let mut outputs = Vec::new();
    for run in &runs {
        outputs.push(site.output::<String>(&run.workflow_run_id).await);
    }
    outputs.sort_unstable();
    outputs.dedup();
    assert_eq!(outputs.len(), 100, "each run went on, once: {outputs:?}");
}

/// Its handler is dropped, though nobody opens what it waits for.
pub async fn a_cancelled_run_is_stopped_where_it_waits<H: Harness>() {
    let site = Site::<H>::embedded().await;
    let trigger = site.client.trigger_url("/play", &Act::Hold).header("x-caller", "ada");
    let run = trigger.await.unwrap().workflow_run_id;
    site.probe.reached("held", 1).await;
    assert!(site.client.cancel_run(&run).await.unwrap());
    site.probe.left("held").await;
    assert_eq!(site.log(&run).await.workflow_state, RunState::RunCanceled);
    assert_eq!(site.probe.count("after"), 0);
}
