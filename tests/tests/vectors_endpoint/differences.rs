//! In what the Rust endpoint differs from the TypeScript one on purpose.
//!
//! A difference makes both sides equal where it applies, and touches nothing else. One that applies nowhere fails the test, and
//! so does the table in `docs/protocol.md` when it does not hold them all.

use serde_json::{Map, Value, json};
use workflow::protocol::duration::parse_duration;

/// A difference, with its reason.
pub struct Difference {
    /// What differs, for people.
    pub what: &'static str,
    /// Why.
    pub why: &'static str,
    /// The scenarios in which it is allowed; all if there are none.
    pub scenarios: &'static [&'static str],
    /// Makes the two sides equal in this: first what TypeScript did, then what Rust did.
    pub level: fn(&mut Value, &mut Value),
}

const ALL: &[&str] = &[];

/// All of them, in the order in which they are applied.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        what: "The names of headers inside of bodies have another case, and none is there twice",
        why: "The names of headers have no case",
        scenarios: ALL,
        level: |typescript, rust| {
            for side in [typescript, rust] {
                for_objects(&mut side["sent"], &mut |fields| {
                    for name in ["headers", "timeoutHeaders"] {
                        if let Some(Value::Object(headers)) = fields.get_mut(name) {
                            *headers = std::mem::take(headers)
                                .into_iter()
                                .map(|(name, value)| (name.to_lowercase(), value))
                                .collect();
                        }
                    }
                });
            }
        },
    },
    Difference {
        what: "The values of `Upstash-Telemetry-*` and of the answer's `Upstash-Workflow-Sdk`; no `Upstash-Telemetry-Framework`",
        why: "They name another SDK, which does not know the framework that it is served by",
        scenarios: ALL,
        level: |typescript, rust| {
            for side in [typescript, rust] {
                for_headers(side, &mut |headers| {
                    headers.remove("upstash-telemetry-framework");
                    let own =
                        |sdk: &str| sdk.starts_with("@upstash/workflow@") || sdk.starts_with("workflow-rs@v");
                    if headers.get("upstash-telemetry-sdk").and_then(first).is_some_and(own) {
                        headers.remove("upstash-telemetry-runtime");
                        headers.insert("upstash-telemetry-sdk".to_owned(), "<own>".into());
                    }
                    if headers.contains_key("upstash-workflow-sdk") {
                        headers.insert("upstash-workflow-sdk".to_owned(), "<own>".into());
                    }
                });
            }
        },
    },
    Difference {
        what: "With telemetry switched off there is none at all",
        why: "In TypeScript the client below the SDK still tells of itself",
        scenarios: &["no-telemetry"],
        level: |typescript, _| {
            for_headers(typescript, &mut |headers| {
                if headers.get("upstash-telemetry-sdk").and_then(first) != Some("<own>") {
                    headers.remove("upstash-telemetry-runtime");
                    headers.remove("upstash-telemetry-sdk");
                }
            });
        },
    },
    Difference {
        what: "Messages and the end of a run carry `Upstash-Workflow-CreatedAt`",
        why: "As newer releases of the protocol do: it tells the run from an earlier one of the same id",
        scenarios: ALL,
        level: |_, rust| {
            for_headers(&mut rust["sent"], &mut |headers| drop(headers.remove("upstash-workflow-createdat")));
        },
    },
    Difference {
        what: "Answers have the content type `application/json`",
        why: "They are JSON",
        scenarios: ALL,
        level: |_, rust| drop(object(&mut rust["answer"]["headers"]).remove("content-type")),
    },
    Difference {
        what: "Durations are written in whole seconds",
        why: "They are typed, and not passed on as somebody wrote them",
        scenarios: ALL,
        level: |typescript, rust| {
            for side in [typescript, rust] {
                for_fields(side, &mut |name, value| match (name, &*value) {
                    ("upstash-delay" | "upstash-timeout" | "timeout" | "sleepFor", Value::String(text)) => {
                        if let Ok(duration) = parse_duration(text) {
                            *value = duration.as_secs().into();
                        }
                    }
                    ("upstash-flow-control-value", Value::String(text)) => {
                        *value = text.replace("period=1m", "period=60s").into();
                    }
                    _ => {}
                });
            }
        },
    },
    Difference {
        what: "A step, a payload or a workflow whose value is `()` has the JSON `null`",
        why: "It is as good a value as any; JavaScript's `undefined` has no JSON",
        scenarios: &["run-undefined", "invoke-child-cancels"],
        level: |_, rust| {
            for_objects(rust, &mut |fields| {
                for (kind, value) in [("stepType", "out"), ("workflowRunCreatedAt", "body")] {
                    if fields.contains_key(kind) && fields.get(value).is_some_and(|value| value == "null") {
                        fields.remove(value);
                    }
                }
            });
        },
    },
    Difference {
        what: "Errors have no stack, and those that are no error of the workflow's own code have texts (and the names of classes) of ours",
        why: "Rust has no such stack, and ours say what to do",
        scenarios: ALL,
        level: |typescript, rust| {
            let own_code = ["Error", "WorkflowNonRetryableError", "WorkflowRetryAfterError"];
            let ours = typescript
                .pointer("/answer/body/as text/error")
                .and_then(Value::as_str)
                .is_some_and(|error| !own_code.contains(&error));
            for side in [typescript, rust] {
                let Some(Value::Object(error)) = side.pointer_mut("/answer/body/as text") else { continue };
                if error.contains_key("error") {
                    error.remove("stack");
                    if ours && error.get("message").is_some_and(|text| *text != "") {
                        *error = Map::new();
                    }
                }
            }
        },
    },
    Difference {
        what: "`Upstash-Error-Step-Name` also with 489 and 429",
        why: "So that the logs name the step",
        scenarios: ALL,
        level: |_, rust| {
            if rust["answer"]["status"] == 489 || rust["answer"]["status"] == 429 {
                object(&mut rust["answer"]["headers"]).remove("upstash-error-step-name");
            }
        },
    },
    Difference {
        what: "A step inside of a step is answered with 489, also behind an `await`",
        why: "It is a mistake in the code, which no retry can help",
        scenarios: &["nested-steps"],
        level: |typescript, rust| {
            if typescript["answer"]["status"] == 500 && rust["answer"]["status"] == 489 {
                let headers = object(&mut rust["answer"]["headers"]);
                headers.remove("upstash-nonretryable-error");
                headers.remove("upstash-workflow-sdk");
                headers.insert("upstash-error-step-name".to_owned(), "outer".into());
                rust["answer"]["status"] = 500.into();
            }
        },
    },
    Difference {
        what: "A request that starts a run passes on the headers of its sender and the label, but none of the transport, of the \
               engine or of the body",
        why: "They are those of another request",
        scenarios: &["direct-first-invocation", "rest-trigger-unknown-sdk", "call-workflow"],
        level: |typescript, _| {
            for_headers(&mut typescript["sent"], &mut |headers| {
                for name in [
                    "connection",
                    "content-length",
                    "content-type",
                    "host",
                    "upstash-caller-ip",
                    "upstash-message-id",
                    "upstash-retried",
                    "upstash-signature",
                ] {
                    if headers.get("upstash-workflow-init").is_some_and(|init| init == "true") {
                        headers.remove(&format!("upstash-forward-{name}"));
                    }
                }
            });
        },
    },
    Difference {
        what: "`Upstash-Deduplication-Id` on notifications of a step",
        why: "So that an engine that honours it tells nobody twice when the delivery is repeated",
        scenarios: &["notify", "notify-lookback"],
        level: |_, rust| {
            for_headers(&mut rust["sent"], &mut |headers| drop(headers.remove("upstash-deduplication-id")));
        },
    },
    Difference {
        what: "The answer to the result of a call names the run that it is about",
        why: "TypeScript makes an id up",
        scenarios: &["call", "call-get", "call-intermediate-callback", "call-workflow"],
        level: |typescript, rust| {
            for side in [typescript, rust] {
                if let Some(Value::Object(body)) = side.pointer_mut("/answer/body/as text")
                    && body.get("finishCondition").is_some_and(|condition| condition == "fromCallback")
                {
                    body.remove("workflowRunId");
                }
            }
        },
    },
    Difference {
        what: "The content type of a call is always among the headers that are forwarded",
        why: "The body and its type are given together",
        scenarios: &["call-workflow"],
        level: |_, rust| {
            for_headers(&mut rust["sent"], &mut |headers| {
                if headers.get("upstash-workflow-calltype").is_some_and(|kind| kind == "toCallback") {
                    headers.remove("upstash-forward-content-type");
                }
            });
        },
    },
    Difference {
        what: "The labels of an invoked run are on the delivery that tells of its failure",
        why: "As they are for a run that a client has triggered",
        scenarios: &["invoke"],
        level: |_, rust| {
            for_headers(&mut rust["sent"], &mut |headers| {
                headers.remove("upstash-failure-callback-forward-upstash-label");
            });
        },
    },
    Difference {
        what: "Where a path names no workflow of several at one route, the answer is JSON and lists those that there are",
        why: "As all refusals are, and it helps to find the right one",
        scenarios: &["serve-many-unknown"],
        level: |typescript, rust| {
            let text = rust["answer"]["body"].to_string();
            if rust["answer"]["status"] == 404 && text.contains("`nope`") && text.contains("childCancels") {
                rust["answer"]["body"] = typescript["answer"]["body"].clone();
            }
        },
    },
    Difference {
        what: "There is no dry run: a workflow without steps completes",
        why: "Whether a request is allowed is decided by extractors, before the workflow is called",
        scenarios: &["no-steps"],
        level: |typescript, rust| {
            if typescript["answer"]["status"] == 400 && rust["answer"]["status"] == 200 {
                assert_eq!(rust["sent"][0]["method"], "DELETE");
                *rust = typescript.clone();
            }
        },
    },
    Difference {
        what: "An extractor answers for itself where it rejects a request",
        why: "As above; here with 401",
        scenarios: &["auth-fail", "auth-attack-callback"],
        level: |typescript, rust| {
            if rust["answer"]["status"] == 401 {
                assert_eq!(rust["sent"], json!([]));
                *rust = typescript.clone();
            }
        },
    },
    Difference {
        what: "What tells of a failure must name its run",
        why: "There is nothing to be told otherwise",
        scenarios: &["auth-attack-failure"],
        level: |typescript, rust| {
            if rust["answer"]["status"] == 500 {
                *rust = typescript.clone();
            }
        },
    },
    Difference {
        what: "An unsigned request that would start a run is answered with 401",
        why: "It comes from somebody who can do something about it, and not from the engine",
        scenarios: &["no-signature"],
        level: |typescript, rust| {
            if typescript["answer"]["status"] == 500 && rust["answer"]["status"] == 401 {
                *rust = typescript.clone();
            }
        },
    },
];

/// The table in `docs/protocol.md`.
pub fn table() -> String {
    let rows = DIFFERENCES.iter().map(|Difference { what, why, .. }| format!("| {what} | {why} |\n"));
    "| what differs | why |\n|---|---|\n".to_owned() + &rows.collect::<String>()
}

fn first(value: &Value) -> Option<&str> {
    value.as_str().or_else(|| value[0].as_str())
}

fn object(value: &mut Value) -> &mut Map<String, Value> {
    value.as_object_mut().expect("an object")
}

/// Every object, from the outside in.
fn for_objects(value: &mut Value, change: &mut dyn FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Object(fields) => {
            change(fields);
            fields.values_mut().for_each(|value| for_objects(value, change));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| for_objects(item, change)),
        _ => {}
    }
}

/// Every field of every object.
fn for_fields(value: &mut Value, change: &mut dyn FnMut(&str, &mut Value)) {
    for_objects(value, &mut |fields| {
        for (name, value) in fields.iter_mut() {
            change(name, value);
        }
    });
}

/// Every object that holds headers: of requests, of answers, of messages, and inside of bodies.
fn for_headers(value: &mut Value, change: &mut dyn FnMut(&mut Map<String, Value>)) {
    for_objects(value, &mut |fields| {
        for name in ["headers", "timeoutHeaders"] {
            if let Some(Value::Object(headers)) = fields.get_mut(name) {
                let names: Vec<_> = headers.keys().cloned().collect();
                let mut lower: Map<_, _> =
                    names.iter().map(|name| (name.to_lowercase(), headers[name].clone())).collect();
                let before = lower.clone();
                change(&mut lower);
                if lower != before {
                    *headers = lower;
                }
            }
        }
    });
}
