//! Steps that notify of events.

use std::{
    panic::Location,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Notify, WorkflowContext, exchange::Exchange, lazy::Lazy};
use crate::{
    Error, Event, EventName,
    client::Notified,
    json,
    protocol::{Step, run_id::run_id_of},
    replay::{Claim, Fault, Work},
};

impl<P> WorkflowContext<P> {
    /// Notifies everybody who waits for the event right now, or one run (see [`run_id`](NotifyStep::run_id)). Who was told is
    /// in the answer.
    ///
    /// The event is named by text, or by the [`EventId`](crate::EventId) of its data; see also
    /// [`notify_event`](Self::notify_event).
    ///
    /// ```
    /// # async fn f(ctx: workflow::WorkflowContext<u32>) -> workflow::Result<()> {
    /// let told = ctx.notify("tell everybody", "order-17", "shipped").await?;
    /// println!("{} runs waited for it", told.runs().count());
    ///
    /// ctx.notify("tell the partner", "order-17", "shipped").run_id("wfr_partner").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// When awaited: if `data` cannot be turned into JSON, or if the step is not awaited by the workflow function itself.
    #[track_caller]
    pub fn notify<D: Serialize + ?Sized>(
        &self,
        name: impl Into<String>,
        event: impl EventName<D>,
        data: &D,
    ) -> NotifyStep<'_> {
        let request = Request {
            name: name.into(),
            event_id: event.into_event_id(),
            data: encode(data),
            run_id: None,
            location: Location::caller(),
        };
        NotifyStep(Lazy::new(&self.invocation.exchange, request, |exchange, request| {
            Box::pin(send(exchange, request))
        }))
    }

    /// Notifies of an event whose type says what it is called. Else as [`notify`](Self::notify).
    ///
    /// ```
    /// # use workflow::Event;
    /// # #[derive(serde::Deserialize, serde::Serialize, Event)]
    /// # #[event(id = "order-paid-{order_id}")]
    /// # struct OrderPaid { order_id: u64, cents: u64 }
    /// # async fn f(ctx: workflow::WorkflowContext<u32>) -> workflow::Result<()> {
    /// let told = ctx.notify_event("tell everybody", &OrderPaid { order_id: 7, cents: 995 }).await?;
    /// assert_eq!(told.event_id, "order-paid-7");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As there.
    #[track_caller]
    pub fn notify_event<E: Event>(&self, name: impl Into<String>, event: &E) -> NotifyStep<'_> {
        self.notify(name, event.event_id(), event)
    }
}

/// A notification about to be sent, as a step. Made by [`WorkflowContext::notify`].
#[must_use = "a step does nothing until it is awaited"]
pub struct NotifyStep<'a>(Lazy<'a, Request, Notify>);

struct Request {
    name: String,
    event_id: String,
    data: crate::Result<Bytes>,
    run_id: Option<String>,
    location: &'static Location<'static>,
}

impl NotifyStep<'_> {
    /// Notifies this run only: its oldest wait for the event or, if there is none yet, its next one (lookback).
    pub fn run_id(self, run_id: impl Into<String>) -> Self {
        let run_id = run_id_of(&run_id.into());
        Self(self.0.set(|request| request.run_id = Some(run_id)))
    }
}

impl Future for NotifyStep<'_> {
    type Output = crate::Result<Notify>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

async fn send(exchange: &Exchange, request: Request) -> crate::Result<Notify> {
    let Request { name, event_id, data, run_id, location } = request;
    let work = Work::Notify { event_id, data: data?, run_id };
    let step = exchange.perform(Claim { name, work, location }).await?;
    match notified(&step) {
        Ok(notify) => Ok(notify),
        Err(reason) => exchange.fail(Fault::unfit::<Notify>(&step, location, reason)).await,
    }
}

/// The data of a notification: JSON, or nothing for null.
fn encode<D: Serialize + ?Sized>(data: &D) -> crate::Result<Bytes> {
    let json = serde_json::to_vec(data).map_err(|error| {
        Error::non_retryable(format!("the event's data cannot be turned into JSON: {error}"))
    })?;
    Ok(if json == b"null" { Bytes::new() } else { json.into() })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NotifyOut {
    event_id: String,
    notify_response: OneOrMany,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    Many(Vec<Notified>),
    One(Box<Notified>),
}

fn notified(step: &Step) -> Result<Notify, String> {
    let out: NotifyOut = json::decode(step.out.as_deref().unwrap_or_default().as_bytes())
        .map_err(|misfit| misfit.to_string())?;
    let notify_response = match out.notify_response {
        OneOrMany::Many(all) => all,
        OneOrMany::One(one) => vec![*one],
    };
    Ok(Notify { event_id: out.event_id, notify_response })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::StepType;

    #[test]
    fn the_answer_of_a_notification_is_one_or_many() {
        let mut step = Step::new(1, "tell", StepType::Notify);
        step.out = Some(
            r#"{"eventId":"e","eventData":1,"notifyResponse":[{"workflowRunId":"wfr_1"},{}]}"#.to_owned(),
        );
        let many = notified(&step).unwrap();
        assert_eq!((many.event_id.as_str(), many.notify_response.len()), ("e", 2));
        step.out =
            Some(r#"{"eventId":"e","notifyResponse":{"workflowRunId":"wfr_1","messageId":"m"}}"#.to_owned());
        let one = notified(&step).unwrap();
        assert_eq!(one.notify_response[0].workflow_run_id, "wfr_1");
        step.out = None;
        assert!(notified(&step).is_err());
    }

    #[test]
    fn only_those_who_were_told_are_listed() {
        let mut step = Step::new(1, "tell", StepType::Notify);
        let told = r#"[
            {"workflowRunId":"wfr_1"},
            {"workflowRunId":"wfr_2","error":"it has ended"},
            {"waiter":{"url":"/","deadline":1,"headers":{"Upstash-Workflow-RunId":["wfr_3"]}}}
        ]"#;
        step.out = Some(format!(r#"{{"eventId":"e","notifyResponse":{told}}}"#));
        assert_eq!(notified(&step).unwrap().runs().collect::<Vec<_>>(), ["wfr_1", "wfr_3"]);
    }
}
