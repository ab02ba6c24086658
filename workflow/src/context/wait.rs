//! Steps that wait for events.

use std::{
    panic::Location,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::de::DeserializeOwned;

use super::{WaitResult, WorkflowContext};
use crate::{
    Error, EventName,
    engine::BoxFuture,
    protocol::{Step, duration::MAX_DURATION},
    replay::{Claim, Work},
    workflow::decode_payload,
};

impl<P> WorkflowContext<P> {
    /// Waits until somebody notifies of the event, at most for `timeout` (a thousand years at most); nothing is kept in
    /// memory meanwhile.
    ///
    /// The event is named by text, or by the [`EventId`](crate::EventId) of an [`Event`](crate::Event), which also says what `T`
    /// is. Its data is decoded from JSON into `T`; as with payloads, `()` takes anything, `String` also plain text, and
    /// `bytes::Bytes` the bytes as they are. A notification without data is JSON's `null`.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # async fn f(ctx: workflow::WorkflowContext<u32>) -> workflow::Result<()> {
    /// use workflow::WaitResult;
    ///
    /// let day = Duration::from_secs(86_400);
    /// match ctx.wait_for_event::<u64>("wait for payment", "payment-17", day).await? {
    ///     WaitResult::Received(cents) => println!("paid {cents}"),
    ///     WaitResult::TimedOut => println!("not paid"),
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// If the event's data does not fit `T` (non-retryable: the data stays what it is), or if the step is not awaited by
    /// the workflow function itself.
    #[track_caller]
    pub fn wait_for_event<T: DeserializeOwned + 'static>(
        &self,
        name: impl Into<String>,
        event: impl EventName<T>,
        timeout: Duration,
    ) -> WaitStep<'_, T> {
        let work = Work::Wait { event_id: event.into_event_id(), timeout: timeout.min(MAX_DURATION) };
        let claim = Claim { name: name.into(), work, location: Location::caller() };
        WaitStep { performing: Box::pin(self.invocation.exchange.perform(claim)), decode: received }
    }
}

/// A wait for an event, as a step. Made by [`WorkflowContext::wait_for_event`].
#[must_use = "a step does nothing until it is awaited"]
pub struct WaitStep<'a, T> {
    performing: BoxFuture<'a, crate::Result<Step>>,
    /// Kept from where `T` is known to be decodable, so that a type that is not is told there alone.
    decode: fn(&Step) -> crate::Result<WaitResult<T>>,
}

impl<T> Future for WaitStep<'_, T> {
    type Output = crate::Result<WaitResult<T>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let decode = self.decode;
        self.performing.as_mut().poll(cx).map(|step| decode(&step?))
    }
}

fn received<T: DeserializeOwned + 'static>(step: &Step) -> crate::Result<WaitResult<T>> {
    if step.wait_timeout == Some(true) {
        return Ok(WaitResult::TimedOut);
    }
    let about = |reason: &dyn std::fmt::Display| {
        Error::non_retryable(format!(
            "the data of the event `{}` that step {} `{}` waited for {reason}",
            step.wait_event_id.as_deref().unwrap_or("?"),
            step.step_id,
            step.step_name
        ))
    };
    let data = STANDARD
        .decode(step.out.as_deref().unwrap_or_default())
        .map_err(|error| about(&format_args!("is not recorded as base64: {error}")))?;
    decode_payload(&data.into()).map(WaitResult::Received).map_err(|error| about(&error))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::protocol::StepType;

    fn wait(out: Option<&[u8]>) -> Step {
        let mut step = Step::new(3, "wait", StepType::Wait);
        step.wait_event_id = Some("paid".to_owned());
        step.wait_timeout = Some(false);
        step.out = out.map(|out| STANDARD.encode(out));
        step
    }

    #[test]
    fn event_data_is_json_or_text_or_nothing() {
        assert_eq!(received::<u8>(&wait(Some(b"7"))).unwrap(), WaitResult::Received(7));
        assert_eq!(received(&wait(Some(b"\"a\""))).unwrap(), WaitResult::Received("a".to_owned()));
        assert_eq!(received(&wait(Some(b"a b"))).unwrap(), WaitResult::Received("a b".to_owned()));
        assert_eq!(received::<Option<u8>>(&wait(None)).unwrap(), WaitResult::Received(None));
        assert_eq!(received::<()>(&wait(Some(b"{}"))).unwrap(), WaitResult::Received(()));
        assert_eq!(
            received::<Bytes>(&wait(Some(b"\xff"))).unwrap(),
            WaitResult::Received(Bytes::from_static(b"\xff"))
        );
        let mut late = wait(None);
        late.wait_timeout = Some(true);
        assert_eq!(received::<u8>(&late).unwrap(), WaitResult::TimedOut);
    }

    #[test]
    fn event_data_of_the_wrong_shape_fails_for_good_and_says_where() {
        let error = received::<Vec<u8>>(&wait(Some(br#"[1, "x"]"#))).unwrap_err();
        assert!(error.is_non_retryable());
        for part in ["`paid`", "step 3 `wait`", "`[1]`", "expected u8"] {
            assert!(error.to_string().contains(part), "{part} in {error}");
        }
    }
}
