//! Rust workflows beside the recorded TypeScript ones: the same deliveries, what is sent to the engine meanwhile, and what is
//! answered.
//!
//! A new scenario is a file in `data/endpoint-ts` and a workflow at its path in [`workflows`]. What differs on purpose is in
//! [`differences`].

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod canonical;
mod differences;
mod play;
mod recording;
mod workflows;

use std::fmt::Write as _;

use serde_json::Value;

use self::{
    canonical::{canonical, told},
    differences::{DIFFERENCES, Difference, table},
};

#[tokio::test]
async fn the_endpoint_does_what_the_typescript_endpoint_was_recorded_to_do() {
    let mut failures = String::new();
    let mut used = vec![false; DIFFERENCES.len()];
    let recordings = recording::all();
    for recording in &recordings {
        let scenario = recording.scenario.as_str();
        let mut known = String::new();
        for (number, (delivery, played)) in play::play(recording).await.into_iter().enumerate() {
            known.push_str(&told(&delivery.delivered));
            let nested = delivery.nested.iter().map(|nested| &nested.request);
            let mut typescript = canonical(nested, &delivery.delivered.response, &known);
            let mut rust = canonical(played.sent.iter(), &played.answer, &known);
            for (difference, used) in DIFFERENCES.iter().zip(&mut used) {
                *used |= apply(difference, scenario, &mut typescript, &mut rust);
            }
            if typescript != rust {
                let _ = writeln!(failures, "\n{scenario}, delivery {}:", number + 1);
                write_differences(&mut failures, "", &typescript, &rust);
            }
        }
    }
    assert!(failures.is_empty(), "TypeScript, and then Rust:\n{failures}");
    for (difference, used) in DIFFERENCES.iter().zip(used) {
        assert!(used, "nothing differs in this any more: {}", difference.what);
    }
}

/// Says whether the difference applied.
fn apply(difference: &Difference, scenario: &str, typescript: &mut Value, rust: &mut Value) -> bool {
    if !difference.scenarios.is_empty() && !difference.scenarios.contains(&scenario) {
        return false;
    }
    let before = (typescript.clone(), rust.clone());
    (difference.level)(typescript, rust);
    before != (typescript.clone(), rust.clone())
}

/// The places at which two values differ.
fn write_differences(out: &mut String, at: &str, one: &Value, other: &Value) {
    match (one, other) {
        (Value::Object(fields), Value::Object(others)) => {
            let mut names: Vec<_> = fields.keys().chain(others.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                let (one, other) = (fields.get(name), others.get(name));
                if one != other {
                    let (one, other) = (one.unwrap_or(&Value::Null), other.unwrap_or(&Value::Null));
                    write_differences(out, &format!("{at}/{name}"), one, other);
                }
            }
        }
        (Value::Array(items), Value::Array(others)) if items.len() == others.len() => {
            for (index, (one, other)) in items.iter().zip(others).enumerate() {
                write_differences(out, &format!("{at}/{index}"), one, other);
            }
        }
        (one, other) if one != other => {
            let _ = writeln!(out, "  {at}\n    {one}\n    {other}");
        }
        _ => {}
    }
}

#[test]
fn the_documentation_lists_what_differs() {
    let docs = include_str!("../../../docs/protocol.md");
    let table = table();
    assert!(docs.contains(&table), "docs/protocol.md does not hold this table:\n\n{table}");
}
