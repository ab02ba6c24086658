//! Deliveries over HTTP are signed, over the bytes of the body.

use super::{
    Act, Echo, Harness, Site,
    site::{KEYS, sign},
};

/// One element, with all that JSON allows between it and the next: what another engine may send.
const ODD: &str = "\u{20}[\r\n\t{ \"body\" :\"aGVsbG8=\"  ,\n\"messageId\": \"mésságe ✓\", \"callType\":\t\"step\", \"a\":1.50e+1 }\r\n]\n\n";
/// The same after a reader and a writer of JSON.
const TIDY: &str = "[{\"body\":\"aGVsbG8=\",\"messageId\":\"mésságe ✓\",\"callType\":\"step\",\"a\":15.0}]";

/// From the trigger to the end.
pub async fn the_engines_own_deliveries_are_accepted<H: Harness>() {
    let site = Site::<H>::over_http().await;
    let run = site.client.trigger_url("/play", &Act::Twice).header("x-caller", "ada").await.unwrap();
    site.tell("go").await;
    assert_eq!(site.output::<String>(&run.workflow_run_id).await, "ada and ada");

    let echo = site.client.trigger_url("/nested/deep/echo", "gruß ✓").await.unwrap();
    let echo: Echo = site.output(&echo.workflow_run_id).await;
    assert_eq!((echo.begin.as_str(), echo.url), ("gruß ✓", format!("{}/nested/deep/echo", site.url)));
}

/// Not what the bytes mean.
pub async fn signatures_cover_the_bytes_of_the_body<H: Harness>() {
    let site = Site::<H>::over_http().await;
    for body in [ODD, TIDY] {
        let answer = site.deliver("/echo", &[], body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    for (signed, sent) in [(ODD, TIDY), (TIDY, ODD)] {
        let signature = sign(KEYS.0, signed.as_bytes());
        let answer = site.deliver("/echo", &[("upstash-signature", &signature)], sent).await;
        assert_eq!(answer.status, 500, "{answer:?}");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(message.contains("the body differs"), "{message}");
    }
}

/// Its signature is right, its content is nothing.
pub async fn a_body_that_is_no_text_is_answered<H: Harness>() {
    let site = Site::<H>::over_http().await;
    for body in [&b"\xff\xfe[]"[..], b"\0"] {
        let answer = site.deliver("/echo", &[], body).await;
        assert_eq!(answer.status, 500, "{answer:?}");
        let message = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(!message.contains("signature"), "{message}");
    }
    // Without a body the engine is asked for the run, which does not know it.
    let answer = site.deliver("/echo", &[], "").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["finishCondition"], "workflow-already-ended");
}

/// Only the engine may call.
pub async fn what_is_not_signed_is_refused<H: Harness>() {
    let site = Site::<H>::over_http().await;
    let next = sign(KEYS.1, TIDY.as_bytes());
    assert_eq!(site.deliver("/echo", &[("upstash-signature", &next)], TIDY).await.status, 200);
    let other = sign("sig_other", TIDY.as_bytes());
    for signature in ["", "a.b.c", &other] {
        let answer = site.deliver("/echo", &[("upstash-signature", signature)], TIDY).await;
        assert_eq!(answer.status, 500, "{answer:?}");
    }
    let start = site.send("POST", "/echo", &[], "hello").await;
    assert_eq!(start.status, 401);
    assert!(start.error().contains("Upstash-Signature"), "{}", start.error());
    assert_eq!(site.runs().await, []);
}
