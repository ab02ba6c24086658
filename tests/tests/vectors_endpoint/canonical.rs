//! Deliveries in a form in which equal means the same: JSON inside of strings is read, and ids that an endpoint made up are
//! masked.

use serde_json::{Map, Value, json};

use crate::recording::{Recorded, Request, Response};

/// What an endpoint sent to the engine during a delivery, and what it answered. `known` is all text that it had been told.
pub fn canonical<'a>(sent: impl Iterator<Item = &'a Request>, answer: &Response, known: &str) -> Value {
    let sent: Vec<_> = sent.map(|request| canonical_request(request, known)).collect();
    json!({
        "sent": sent,
        "answer": {
            "status": answer.status,
            "headers": answer.headers,
            "body": unfolded(&answer.body, known),
        },
    })
}

/// All text that an endpoint is told by a delivery.
pub fn told(delivered: &Recorded) -> String {
    format!("{} {:?} {}", delivered.request.url, delivered.request.headers, text_of(&delivered.request.body))
}

fn canonical_request(request: &Request, known: &str) -> Value {
    json!({
        "method": request.method,
        "url": masked(&request.url, known),
        "headers": request.headers.iter().map(|(name, value)| (name.clone(), masked(value, known).into())).collect::<Map<_, _>>(),
        "body": unfolded(&request.body, known),
    })
}

/// Text that holds a JSON object or list becomes `{"as text": …}`; everything else stays as it is.
fn unfolded(text: &str, known: &str) -> Value {
    match serde_json::from_str::<Value>(text) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => json!({ "as text": unfold(value, known) }),
        _ => masked(text, known).into(),
    }
}

fn unfold(value: Value, known: &str) -> Value {
    match value {
        Value::String(text) => unfolded(&text, known),
        Value::Array(items) => items.into_iter().map(|item| unfold(item, known)).collect(),
        Value::Object(fields) => fields
            .into_iter()
            // The recorder left these headers out of what was delivered.
            .filter(|(name, _)| name != "upstash-forward-accept")
            .map(|(name, value)| (name, unfold(value, known)))
            .collect::<Map<_, _>>()
            .into(),
        other => other,
    }
}

/// Ids as both SDKs make them up (`wfr_` and 21 characters, `evt_` and 15) that are not among what was told.
fn masked(text: &str, known: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = ["wfr_", "evt_"].iter().filter_map(|prefix| rest.find(prefix)).min() {
        let (before, id) = rest.split_at(start);
        let end = id.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-')).unwrap_or(id.len());
        let (id, after) = id.split_at(end);
        let made_up = id.len() == if id.starts_with("wfr_") { 25 } else { 19 };
        out.push_str(before);
        out.push_str(if made_up && !known.contains(id) { "<made up>" } else { id });
        rest = after;
    }
    out + rest
}

/// A body with the base64 in it decoded, to find ids in.
fn text_of(body: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let mut text = body.to_owned();
    for entry in serde_json::from_str::<Vec<Value>>(body).unwrap_or_default() {
        let decoded = STANDARD.decode(entry["body"].as_str().unwrap_or_default()).unwrap_or_default();
        text.push_str(&String::from_utf8_lossy(&decoded));
    }
    text
}
