//! An extractor that rejects answers the request itself.

use super::{Act, Harness, Site};

/// Its status, headers and body; no run starts.
pub async fn a_rejected_start_keeps_the_extractors_answer<H: Harness>() {
    let site = Site::<H>::embedded().await;
    let answer = site.send("POST", "/play", &[], "\"Greet\"").await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.headers["www-authenticate"], "Suite");
    assert_eq!(answer.body, "who are you?");
    assert_eq!(site.runs().await, []);
}

/// The run knows why, and goes on.
pub async fn a_rejected_delivery_in_process_is_a_failed_attempt<H: Harness>() {
    is_a_failed_attempt(Site::<H>::embedded().await).await;
}

/// The run knows why, and goes on.
pub async fn a_rejected_delivery_over_http_is_a_failed_attempt<H: Harness>() {
    is_a_failed_attempt(Site::<H>::over_http().await).await;
}

async fn is_a_failed_attempt<H: Harness>(site: Site<H>) {
    let trigger = |caller| site.client.trigger_url("/play", &Act::Greet).header("x-caller", caller);
    let rejected = trigger("busy ada").retries(0).await.unwrap().workflow_run_id;
    let attempts = site.failure(&rejected).await;
    assert_eq!(attempts.len(), 1, "{attempts:?}");
    assert_eq!((attempts[0].status, attempts[0].body.as_str()), (503, "not now"));
    assert_eq!(attempts[0].headers["www-authenticate"], ["Suite"]);

    // Its first attempt is rejected, too.
    let run = trigger("busy grace").retry_delay("0").await.unwrap().workflow_run_id;
    assert_eq!(site.output::<String>(&run).await, "hello busy grace");
}
