//! Steps whose options may be set until they are awaited.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use super::exchange::Exchange;
use crate::engine::BoxFuture;

/// How a request becomes a step.
type Perform<R, T> = for<'a> fn(&'a Exchange, R) -> BoxFuture<'a, crate::Result<T>>;

/// A request `R` that becomes a step with the result `T` when it is polled first.
pub(super) struct Lazy<'a, R, T> {
    exchange: &'a Exchange,
    /// Until the first poll.
    request: Option<R>,
    perform: Perform<R, T>,
    performing: Option<BoxFuture<'a, crate::Result<T>>>,
}

impl<'a, R, T> Lazy<'a, R, T> {
    pub(super) fn new(exchange: &'a Exchange, request: R, perform: Perform<R, T>) -> Self {
        Self { exchange, request: Some(request), perform, performing: None }
    }

    /// Changes the request. Nothing can hold a step that has been polled already and still set its options.
    pub(super) fn set(mut self, change: impl FnOnce(&mut R)) -> Self {
        if let Some(request) = &mut self.request {
            change(request);
        }
        self
    }
}

impl<R: Unpin, T> Future for Lazy<'_, R, T> {
    type Output = crate::Result<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Self { exchange, request, perform, performing } = self.get_mut();
        if let Some(request) = request.take() {
            *performing = Some(perform(exchange, request));
        }
        match performing {
            Some(performing) => performing.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::WorkflowContext;

    #[test]
    fn steps_can_be_sent_to_another_thread_before_they_are_awaited() {
        fn is_send(_: impl Send) {}
        let _ = |ctx: WorkflowContext<u32>| {
            is_send(ctx.notify("tell", "event", "data"));
            is_send(ctx.call("call", "http://third.test"));
            is_send(ctx.invoke_url::<u32>("invoke", "/child", "payload"));
        };
    }
}
