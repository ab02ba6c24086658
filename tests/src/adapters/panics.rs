//! A panic ends an attempt, and nothing else.

use super::{Act, Harness, Site, site::run_id};

/// The core catches it.
pub async fn a_workflow_that_panics_is_tried_again<H: Harness>() {
    for site in [Site::<H>::embedded().await, Site::<H>::over_http().await] {
        let trigger = || site.client.trigger_url("/play", &Act::Panic).header("x-caller", "ada");
        let failed = trigger().retries(0).await.unwrap().workflow_run_id;
        let told = site.failure(&failed).await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].error.contains("the workflow stumbled"), "{told:?}");

        let run = trigger().retry_delay("0").await.unwrap().workflow_run_id;
        assert_eq!(site.output::<String>(&run).await, "recovered");
        assert_eq!(site.probe.count("play"), 3);
    }
}

/// The engine is told what the panic said.
pub async fn an_extractor_that_panics_in_process_is_a_failed_attempt<H: Harness>() {
    let site = Site::<H>::embedded().await;
    let told = is_a_failed_attempt(&site).await;
    assert!(told.contains("the extractor stumbled"), "{told}");
}

/// However the framework answers, if it does; the next request is served.
pub async fn an_extractor_that_panics_over_http_is_a_failed_attempt<H: Harness>() {
    is_a_failed_attempt(&Site::<H>::over_http().await).await;
}

async fn is_a_failed_attempt<H: Harness>(site: &Site<H>) -> String {
    let trigger = |caller| site.client.trigger_url("/play", &Act::Greet).header("x-caller", caller);
    let failed = trigger("clumsy ada").retries(0).await.unwrap().workflow_run_id;
    let told = site.failure(&failed).await;
    assert_eq!(told.len(), 1, "{told:?}");

    // Its first attempt panics, too.
    let run = trigger("clumsy grace").retry_delay("0").await.unwrap().workflow_run_id;
    assert_eq!(site.output::<String>(&run).await, "hello clumsy grace");
    told[0].error.clone()
}

/// The server goes on.
pub async fn a_start_whose_extractor_panics_starts_no_run<H: Harness>() {
    let site = Site::<H>::embedded().await;
    let clumsy = [("x-caller", "clumsy")];
    if let Ok(answer) = site.try_send("POST", "/play", &clumsy, "\"Greet\"").await {
        assert_eq!(answer.status, 500);
    }
    assert_eq!(site.runs().await, []);
    let run = run_id(&site.send("POST", "/play", &clumsy, "\"Greet\"").await);
    assert_eq!(site.output::<String>(&run).await, "hello clumsy");
}
