//! The future of a step that runs a function of the user.
//!
//! It has a name, and its `Future` has no bounds: what it has to know of the body and of the result, it is given as functions
//! ([`How`]) where the step is made. The `impl Future` of an `async fn` would be shorter, but such a type repeats the bounds
//! of its function wherever it is used, and the compiler would tell one mistake at the method, at the call and at the
//! `.await`.

use std::{
    future::Future,
    panic::Location,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use serde::de::DeserializeOwned;
use tokio::time::{Sleep, sleep};
use tracing::Span;

use super::{
    StepBody, StepFailure, StepResult,
    exchange::Exchange,
    slot::{Ticket, Turn},
};
use crate::{
    Error, json,
    protocol::Step,
    replay::{Claim, Fault},
};

pin_project! {
    /// A step whose body is a function of the workflow; awaiting it gives `O`. Made by
    /// [`WorkflowContext::run`](super::WorkflowContext::run) and [`try_run`](super::WorkflowContext::try_run).
    ///
    /// Dropping it gives the step up: it is not recorded, and runs again when the function asks for it again.
    #[must_use = "a step does nothing until it is awaited: add `.await`, alone or together with other steps in a `join!`"]
    pub struct RunStep<'a, O, F, B> {
        exchange: &'a Exchange,
        location: &'static Location<'static>,
        timeout: Option<Duration>,
        how: How<O, F, B>,
        name: String,
        // Until the first poll.
        claim: Option<Claim>,
        // Until the body begins.
        function: Option<F>,
        // Is dropped before the step is given up.
        #[pin]
        body: Option<B>,
        // From the first poll on.
        ticket: Option<Ticket<'a>>,
        attempt: Option<Attempt>,
        // What the body gave, until it is recorded.
        own: Option<(O, String)>,
    }
}

/// What a body gave, and the JSON that is recorded.
type Encoded<O> = crate::Result<(O, String)>;

/// What there is to know of a body and its result.
struct How<O, F, B> {
    begin: fn(F) -> B,
    /// Polls the body and encodes its result. What comes of it is what the function would see on replay.
    poll: fn(Pin<&mut B>, &mut Context<'_>) -> Poll<Encoded<O>>,
    /// Reads a recorded result.
    read: fn(&Step, &'static Location<'static>) -> Result<O, Fault>,
    /// What is given to a function that may not ask for the step.
    refuse: fn(Error) -> O,
}

/// One run of the body.
struct Attempt {
    member: usize,
    number: u32,
    span: Span,
    limit: Option<(Duration, Pin<Box<Sleep>>)>,
}

impl<'a, T: StepResult, F: FnOnce() -> B, B: StepBody<Output = crate::Result<T>>>
    RunStep<'a, crate::Result<T>, F, B>
{
    /// A step whose failure ends the run.
    pub(super) fn new(exchange: &'a Exchange, claim: Claim, timeout: Option<Duration>, function: F) -> Self {
        let how = How {
            begin: |function: F| function(),
            poll: |body, cx| {
                body.poll(cx).map(|result| through_json(result?).map(|(value, out)| (Ok(value), out)))
            },
            read: |step, location| read(step, location).map(Ok),
            refuse: Err,
        };
        Self::with(how, exchange, claim, timeout, function)
    }
}

impl<'a, T: StepResult, F: FnOnce() -> B, B: StepBody<Output = crate::Result<T>>>
    RunStep<'a, Result<T, StepFailure>, F, B>
{
    /// A step whose failure is its result.
    pub(super) fn tried(
        exchange: &'a Exchange,
        claim: Claim,
        timeout: Option<Duration>,
        function: F,
    ) -> Self {
        let how = How {
            begin: |function: F| function(),
            poll: |body, cx| body.poll(cx).map(|result| through_json(Ok(result?))),
            read,
            refuse: |error| Err(StepFailure { message: error.to_string() }),
        };
        Self::with(how, exchange, claim, timeout, function)
    }
}

impl<'a, O, F, B> RunStep<'a, O, F, B> {
    fn with(
        how: How<O, F, B>,
        exchange: &'a Exchange,
        claim: Claim,
        timeout: Option<Duration>,
        function: F,
    ) -> Self {
        Self {
            exchange,
            location: claim.location,
            timeout,
            how,
            name: claim.name.clone(),
            claim: Some(claim),
            ticket: None,
            function: Some(function),
            body: None,
            attempt: None,
            own: None,
        }
    }
}

impl<O, F, B> Future for RunStep<'_, O, F, B> {
    type Output = O;

    /// Claims the step and, when it is its turn, runs the body, hands its result over, and waits until one is recorded.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<O> {
        let mut this = self.project();
        if let Some(claim) = this.claim.take() {
            match this.exchange.claim(claim) {
                Ok(ticket) => *this.ticket = ticket,
                Err(error) => return Poll::Ready((this.how.refuse)(error)),
            }
        }
        // Without a ticket the invocation is over.
        let Some(ticket) = this.ticket else { return Poll::Pending };
        loop {
            if let Some(attempt) = this.attempt {
                let result = this.exchange.while_running(attempt.member, attempt.number, || {
                    let _entered = attempt.span.enter();
                    if let Some(function) = this.function.take() {
                        this.body.set(Some((this.how.begin)(function)));
                    }
                    let Some(body) = this.body.as_mut().as_pin_mut() else { return Poll::Pending };
                    let polled = (this.how.poll)(body, cx);
                    match &mut attempt.limit {
                        Some(limit) if polled.is_pending() => given_up(limit, cx).map(Err),
                        _ => polled,
                    }
                });
                let result = ready!(result);
                *this.attempt = None;
                this.body.set(None);
                match result {
                    Ok((value, out)) => {
                        ticket.ran(Ok(out.clone()));
                        *this.own = Some((value, out));
                    }
                    Err(error) => ticket.ran(Err(error)),
                }
            }
            match ready!(ticket.poll_turn(cx)) {
                Turn::Run { attempt } => {
                    *this.attempt = Some(Attempt {
                        member: ticket.member().unwrap_or_default(),
                        number: attempt,
                        span: tracing::info_span!("step", name = this.name.as_str(), attempt),
                        limit: this.timeout.map(|timeout| (timeout, Box::pin(sleep(timeout)))),
                    });
                }
                Turn::Done(step) => {
                    if let Some((value, out)) = this.own.take()
                        && step.out.as_deref() == Some(&out)
                    {
                        return Poll::Ready(value);
                    }
                    return match (this.how.read)(&step, this.location) {
                        Ok(value) => Poll::Ready(value),
                        Err(fault) => {
                            this.exchange.stop(fault);
                            Poll::Pending
                        }
                    };
                }
            }
        }
    }
}

/// Whether an attempt has taken too long.
fn given_up((timeout, elapses): &mut (Duration, Pin<Box<Sleep>>), cx: &mut Context<'_>) -> Poll<Error> {
    elapses.as_mut().poll(cx).map(|()| {
        Error::msg(format!("the step took longer than its timeout of {timeout:?} and was given up"))
    })
}

/// Encodes a result and decodes it again: the function must see what it would see on replay.
fn through_json<T: StepResult>(value: T) -> Encoded<T> {
    let out = serde_json::to_string(&value).map_err(|error| unencodable::<T>(&error))?;
    let value = json::decode(out.as_bytes()).map_err(|misfit| unencodable::<T>(&misfit))?;
    Ok((value, out))
}

fn unencodable<T>(reason: &dyn std::fmt::Display) -> Error {
    Error::non_retryable(format!(
        "the step's result cannot be recorded, because `{}` does not survive JSON: {reason}",
        std::any::type_name::<T>()
    ))
}

/// Reads a recorded result. Without one it is JSON's null; what is no JSON at all is text, as other SDKs have it.
fn read<T: DeserializeOwned>(step: &Step, location: &'static Location<'static>) -> Result<T, Fault> {
    let out = step.out.as_deref().unwrap_or("null");
    let text = |misfit: json::Misfit| {
        let reason = misfit.to_string();
        let value =
            if misfit.malformed { serde_json::from_value(serde_json::Value::from(out)).ok() } else { None };
        value.ok_or(reason)
    };
    json::decode(out.as_bytes()).or_else(text).map_err(|reason| Fault::unfit::<T>(step, location, reason))
}
