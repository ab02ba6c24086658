//! Requests to an endpoint that no engine would make. Whatever comes, the answer is one of the protocol, no body runs that the
//! history records, and none runs twice ([`workflow_tests::hostile`] checks that after every request).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod histories;
mod mutations;
mod signatures;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

/// An entry of a log.
fn entry(id: &str, body: &[u8]) -> Value {
    json!({ "messageId": id, "body": STANDARD.encode(body), "callType": "step" })
}

/// A delivery of these steps; the messages are `m0` (the payload), `m1`, ….
fn log(steps: &[Value]) -> Vec<u8> {
    let steps = steps.iter().map(|step| step.to_string().into_bytes());
    let bodies = std::iter::once(b"{}".to_vec()).chain(steps).enumerate();
    let entries: Vec<_> = bodies.map(|(index, body)| entry(&format!("m{index}"), &body)).collect();
    serde_json::to_vec(&entries).unwrap()
}

fn result(id: u32, name: &str, concurrent: u32) -> Value {
    json!({ "stepId": id, "stepName": name, "stepType": "Run", "out": format!("{name:?}"), "concurrent": concurrent })
}

fn plan(target: u32, name: &str, concurrent: u32) -> Value {
    json!({ "stepId": 0, "stepName": name, "stepType": "Run", "concurrent": concurrent, "targetStep": target })
}
