//! A `POST` that comes from no engine starts a run.

use super::{Echo, Harness, Site, site::run_id};

/// The answer names the run, which ends by itself.
pub async fn a_post_starts_a_run_and_names_it<H: Harness>() {
    let site = Site::<H>::embedded().await;
    let headers = [("x-thing", "straße"), ("upstash-label", "one,two")];
    let answer = site.send("POST", "/echo", &headers, "no \"JSON\" é").await;
    let run = run_id(&answer);
    assert!(run.starts_with("wfr_"), "{run}");
    assert_eq!(answer.json()["finishCondition"], "success");
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["upstash-workflow-sdk-version"], "1");

    let echo: Echo = site.output(&run).await;
    let thing = Some("straße".to_owned());
    assert_eq!(echo, Echo { url: "/echo".to_owned(), length: 12, begin: "no \"JSON\" é".to_owned(), thing });
    let log = site.log(&run).await;
    assert_eq!(log.labels, ["one", "two"]);
    assert_eq!(site.runs().await.len(), 1);
}

/// The engine is told where the app is by the URL of the request.
pub async fn a_post_over_http_starts_a_run_with_its_headers<H: Harness>() {
    let site = Site::<H>::over_plain_http().await;
    let answer = site.send("POST", "/nested/deep/echo?a=b", &[("x-thing", "thing")], "\"you\"").await;
    let echo: Echo = site.output(&run_id(&answer)).await;
    let url = format!("{}/nested/deep/echo?a=b", site.url);
    assert_eq!(echo, Echo { url, length: 3, begin: "you".to_owned(), thing: Some("thing".to_owned()) });
}

/// The answer says which part of the payload does not fit.
pub async fn a_payload_that_does_not_fit_starts_no_run<H: Harness>() {
    let site = Site::<H>::embedded().await;
    for (body, status) in [("\"Sing\"", 422), ("{", 400)] {
        let answer = site.send("POST", "/play", &[("x-caller", "ada")], body).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.error().contains("no run of `play"), "{}", answer.error());
    }
    assert_eq!(site.runs().await, []);
}

/// An embedded engine does not deliver over HTTP; whoever does so has the wrong app.
pub async fn a_delivery_over_http_is_no_start_on_an_embedded_engine<H: Harness>() {
    let site = Site::<H>::embedded().await;
    let answer = site.send("POST", "/echo", &[("upstash-workflow-sdk-version", "1")], "[]").await;
    assert_eq!(answer.status, 400);
    assert!(answer.error().contains("own process"), "{}", answer.error());
    assert_eq!(site.runs().await, []);
}

/// The app was not attached.
pub async fn without_an_engine_the_answer_says_so<H: Harness>() {
    let site = Site::<H>::alone().await;
    let answer = site.send("POST", "/echo", &[], "\"you\"").await;
    assert_eq!(answer.status, 500);
    assert!(answer.error().contains("no workflow engine"), "{}", answer.error());
}
