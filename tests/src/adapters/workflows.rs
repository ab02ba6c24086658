//! The workflows of the suite.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use workflow::{Error, WaitResult, WorkflowContext, workflow};

use crate::{Probe, script::LONG};

/// What [`echo`] has seen.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Echo {
    /// Where it is mounted.
    pub url: String,
    /// The length of its payload, in bytes.
    pub length: usize,
    /// The first characters of its payload.
    pub begin: String,
    /// The header `x-thing`.
    pub thing: Option<String>,
}

/// Says what it has seen. It has no parameters of a framework's own.
///
/// # Errors
/// Those of its step.
#[workflow]
pub async fn echo(ctx: WorkflowContext<String>) -> workflow::Result<Echo> {
    let payload = ctx.request_payload();
    let begin = ctx.run("begin", async || Ok(payload.chars().take(40).collect())).await?;
    let thing =
        ctx.headers().get("x-thing").map(|thing| String::from_utf8_lossy(thing.as_bytes()).into_owned());
    Ok(Echo { url: ctx.url().to_owned(), length: payload.len(), begin, thing })
}

/// What [`play`] does, and its payload.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Act {
    /// A step that greets the caller.
    Greet,
    /// The callers of two deliveries: a wait for the event `go` lies between them.
    Twice,
    /// A step that is held at the place `held`, and one that passes `after`.
    Hold,
    /// A panic, except in the third invocation.
    Panic,
    /// A step that fails.
    Fail,
    /// A failure that is never retried.
    FailForGood,
    /// A failure that is to be retried after 7 seconds.
    FailForNow,
    /// A webhook, and what it is called with.
    Webhook,
}

/// The workflow at `/play`, for the caller that the app's extractor has found. It passes the place `play` whenever it is invoked.
///
/// # Errors
/// See [`Act`].
///
/// # Panics
/// See [`Act::Panic`].
pub async fn play(ctx: &WorkflowContext<Act>, caller: &str, probe: &Probe) -> workflow::Result<String> {
    let invoked = probe.pass("play");
    match ctx.request_payload() {
        Act::Greet => ctx.run("greet", async || Ok(format!("hello {caller}"))).await,
        Act::Twice => {
            let first = ctx.run("first", async || Ok(caller.to_owned())).await?;
            let WaitResult::Received(()) = ctx.wait_for_event("let the delivery end", "go", LONG).await?
            else {
                return Err(Error::non_retryable("nobody said go"));
            };
            Ok(format!("{first} and {caller}"))
        }
        Act::Hold => {
            ctx.run("held", async || {
                probe.hold("held").await;
                Ok(())
            })
            .await?;
            ctx.run("after", async || Ok(format!("{} after", probe.pass("after")))).await
        }
        Act::Panic if invoked != 3 => panic!("the workflow stumbled"),
        Act::Panic => Ok("recovered".to_owned()),
        Act::Fail => ctx.run("charge", async || Err(Error::msg("the card is declined"))).await,
        Act::FailForGood => Err(Error::non_retryable("there is no such card")),
        Act::Webhook => {
            let webhook = ctx.create_webhook("make webhook").await?;
            let called = ctx.wait_for_webhook("wait for webhook", &webhook, LONG).await?;
            let WaitResult::Received(request) = called else {
                return Err(Error::non_retryable("nobody called"));
            };
            let thing = request.header("x-thing").unwrap_or_default();
            Ok(format!("{} {} {thing} {}", request.method(), request.url(), request.text()))
        }
        Act::FailForNow => Err(Error::retry_after("too many cards", Duration::from_secs(7))),
    }
}
