//! Requests of somebody who is not the engine.

use workflow::protocol::signature::sign;
use workflow_tests::hostile::{KEY, NOW, STEP, Seen, Target, URL};

use crate::{log, result};

async fn deliver(target: &Target, signature: Option<&str>, body: &[u8]) -> Seen {
    let mut headers = STEP.to_vec();
    headers.extend(signature.map(|signature| ("upstash-signature", signature)));
    target.send(&headers, body.to_vec()).await
}

#[tokio::test]
async fn only_what_the_engine_has_signed_is_carried_out() {
    let target = Target::start(true).await;
    let body = log(&[]);
    let good = sign(KEY, URL, &body, NOW).unwrap();
    assert_eq!(deliver(&target, Some(&good), &body).await.ran, ["a"]);

    let other = sign("sig_other", URL, &body, NOW).unwrap();
    let expired = sign(KEY, URL, &body, NOW - 400_000).unwrap();
    let of_the_future = sign(KEY, URL, &body, NOW + 400_000).unwrap();
    let of_another_body = sign(KEY, URL, &log(&[result(1, "a", 1)]), NOW).unwrap();
    let (head, rest) = good.split_once('.').unwrap();
    let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", rest.split_once('.').unwrap().0);
    let cut = format!("{head}.{}", &rest[..rest.len() - 4]);
    let long = "a".repeat(100_000);
    for signature in
        [&other, &expired, &of_the_future, &of_another_body, &unsigned, &cut, "", "..", "a.b.c", "ä", &long]
    {
        let seen = deliver(&target, Some(signature), &body).await;
        assert_eq!(seen.answer.status(), 500, "{signature}: {seen:?}");
        assert_eq!((seen.ran.len(), seen.sent.len()), (0, 0), "{signature}: {seen:?}");
    }
    let seen = deliver(&target, None, &body).await;
    assert!(seen.ran.is_empty() && seen.message().contains("Upstash-Signature"), "{seen:?}");
}

#[tokio::test]
async fn a_body_that_was_written_anew_is_not_the_one_that_was_signed() {
    let target = Target::start(true).await;
    let body = log(&[result(1, "a", 1)]);
    let signature = sign(KEY, URL, &body, NOW).unwrap();
    let value: serde_json::Value = serde_json::from_slice(&body).unwrap();
    for other in [
        serde_json::to_vec_pretty(&value).unwrap(),
        [&body[..], b"\n"].concat(),
        body[1..].to_vec(),
        Vec::new(),
    ] {
        let seen = deliver(&target, Some(&signature), &other).await;
        assert_eq!((seen.answer.status().as_u16(), seen.ran.len(), seen.sent.len()), (500, 0, 0), "{seen:?}");
    }
}

#[tokio::test]
async fn a_signature_opens_nothing_but_deliveries_of_its_body() {
    let target = Target::start(true).await;
    let body = log(&[result(1, "a", 1)]);
    let signature = sign(KEY, URL, &body, NOW).unwrap();
    let signed = ("upstash-signature", signature.as_str());
    let run = ("upstash-workflow-runid", "wfr_1");
    // Headers are not signed: whoever replays a body may change them, and gets no step that is recorded in it.
    for id in ["m0", "m1", "m2", "", "m"] {
        let seen = target.send(&[STEP[0], run, signed, ("upstash-message-id", id)], body.clone()).await;
        assert!(!seen.ran.contains(&"a".to_owned()), "{seen:?}");
    }
    for kind in ["upstash-workflow-failure-callback", "upstash-workflow-callback"] {
        let seen = target.send(&[run, signed, (kind, "true")], body.clone()).await;
        assert_eq!((seen.answer.status().as_u16(), seen.ran.len()), (500, 0), "{kind}: {seen:?}");
    }
}

#[tokio::test]
async fn a_delivery_that_is_replayed_does_the_same_again_and_nothing_else() {
    let target = Target::start(true).await;
    let body = log(&[result(1, "a", 1)]);
    let signature = sign(KEY, URL, &body, NOW).unwrap();
    let first = deliver(&target, Some(&signature), &body).await;
    let second = deliver(&target, Some(&signature), &body).await;
    assert_eq!(first.sent, second.sent);
    assert_eq!(first.answer.body(), second.answer.body());
}
