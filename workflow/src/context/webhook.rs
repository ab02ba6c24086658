//! Steps that make webhooks and wait for their calls.

use std::{
    panic::Location,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::{WaitResult, WorkflowContext, content::Content};
use crate::{
    Error,
    client::HeaderLists,
    engine::BoxFuture,
    json,
    protocol::{Step, Webhook, WebhookOut, duration::MAX_DURATION},
    replay::{Claim, Fault, Work},
};

impl<P> WorkflowContext<P> {
    /// Makes a URL that anybody can call, for [`wait_for_webhook`](Self::wait_for_webhook). It takes every method, works until
    /// the run has ended, and may be called more often than once. Whoever knows it may call it.
    ///
    /// ```
    /// # async fn send_mail(link: &str) -> workflow::Result<()> { Ok(()) }
    /// # async fn f(ctx: workflow::WorkflowContext<u32>) -> workflow::Result<()> {
    /// use std::time::Duration;
    /// use workflow::WaitResult;
    ///
    /// let webhook = ctx.create_webhook("make link").await?;
    /// ctx.run("send link", async || send_mail(&webhook.webhook_url).await).await?;
    /// match ctx.wait_for_webhook("wait for click", &webhook, Duration::from_secs(86_400)).await? {
    ///     WaitResult::Received(request) => println!("{} {}", request.method(), request.url()),
    ///     WaitResult::TimedOut => println!("nobody clicked"),
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// An embedded engine has to be told where its webhooks are reached from outside; how, the error says.
    ///
    /// # Errors
    ///
    /// Only if the step is not awaited by the workflow function itself.
    #[track_caller]
    pub fn create_webhook(&self, name: impl Into<String>) -> impl Future<Output = crate::Result<Webhook>> {
        let claim = Claim { name: name.into(), work: Work::CreateWebhook, location: Location::caller() };
        let exchange = &self.invocation.exchange;
        async move {
            let location = claim.location;
            let step = exchange.perform(claim).await?;
            match json::decode(step.out.as_deref().unwrap_or_default().as_bytes()) {
                Ok(webhook) => Ok(webhook),
                Err(misfit) => {
                    exchange.fail(Fault::unfit::<Webhook>(&step, location, misfit.to_string())).await
                }
            }
        }
    }

    /// Waits until the webhook is called, at most for `timeout` (a thousand years at most); nothing is kept in memory
    /// meanwhile. Calls that came before the wait are kept, oldest first: each is received by one wait.
    ///
    /// # Errors
    ///
    /// Only if the step is not awaited by the workflow function itself.
    #[track_caller]
    pub fn wait_for_webhook(
        &self,
        name: impl Into<String>,
        webhook: &Webhook,
        timeout: Duration,
    ) -> WebhookStep<'_> {
        let event_id = webhook.event_id.clone();
        let work = Work::WaitForWebhook { event_id, timeout: timeout.min(MAX_DURATION) };
        let claim = Claim { name: name.into(), work, location: Location::caller() };
        WebhookStep { performing: Box::pin(self.invocation.exchange.perform(claim)) }
    }
}

/// A wait for a call of a webhook, as a step. Made by [`WorkflowContext::wait_for_webhook`].
#[must_use = "a step does nothing until it is awaited"]
pub struct WebhookStep<'a> {
    performing: BoxFuture<'a, crate::Result<Step>>,
}

impl Future for WebhookStep<'_> {
    type Output = crate::Result<WaitResult<WebhookRequest>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.performing.as_mut().poll(cx).map(|step| received(&step?))
    }
}

fn received(step: &Step) -> crate::Result<WaitResult<WebhookRequest>> {
    if step.wait_timeout == Some(true) {
        return Ok(WaitResult::TimedOut);
    }
    let unread = |reason: &dyn std::fmt::Display| {
        Error::non_retryable(format!(
            "the call of the webhook that step {} `{}` waited for is not recorded as a request: {reason}",
            step.step_id, step.step_name
        ))
    };
    let recorded =
        STANDARD.decode(step.out.as_deref().unwrap_or_default()).map_err(|error| unread(&error))?;
    let out: WebhookOut = json::decode(&recorded).map_err(|error| unread(&error))?;
    let body = out.bytes().map_err(|error| unread(&error))?;
    let url = format!("{}://{}{}", out.proto, out.host, out.url);
    let content = Content { headers: out.header, body };
    Ok(WaitResult::Received(WebhookRequest { method: out.method, url, content }))
}

/// A request that a webhook got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookRequest {
    method: String,
    url: String,
    content: Content,
}

impl WebhookRequest {
    /// The method: `POST`, ….
    pub fn method(&self) -> &str {
        &self.method
    }

    /// The URL that was called, with its query.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// All headers.
    pub fn headers(&self) -> &HeaderLists {
        &self.content.headers
    }

    /// The first value of a header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.content.header(name)
    }

    /// The body as it came.
    pub fn body(&self) -> &Bytes {
        &self.content.body
    }

    /// The body as text. Bytes that are no UTF-8 become `\u{fffd}`.
    pub fn text(&self) -> String {
        self.content.text()
    }

    /// The body, decoded from JSON; an empty one as JSON's `null`.
    ///
    /// # Errors
    ///
    /// If it does not fit `T`. It is never retried, since the request stays what it is.
    pub fn json<T: DeserializeOwned>(&self) -> crate::Result<T> {
        self.content.json(|misfit| {
            format!("the body that the webhook got does not fit `{}`: {misfit}", std::any::type_name::<T>())
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::protocol::StepType;

    fn wait(out: &serde_json::Value) -> Step {
        let mut step = Step::new(3, "wait", StepType::WaitForWebhook);
        step.wait_timeout = Some(false);
        step.out = Some(STANDARD.encode(out.to_string()));
        step
    }

    #[test]
    fn a_request_is_read_as_the_engine_records_it() {
        let out = json!({
            "method": "PUT",
            "header": { "Content-Type": ["application/json"] },
            "body": STANDARD.encode(r#"{"paid":true}"#),
            "proto": "https",
            "host": "engine.test",
            "url": "/hooks/a?q=1",
        });
        let WaitResult::Received(request) = received(&wait(&out)).unwrap() else { panic!() };
        assert_eq!((request.method(), request.url()), ("PUT", "https://engine.test/hooks/a?q=1"));
        assert_eq!(request.header("content-type"), Some("application/json"));
        assert_eq!(request.json::<serde_json::Value>().unwrap(), json!({ "paid": true }));
        assert!(request.json::<u8>().unwrap_err().is_non_retryable());
    }

    #[test]
    fn what_is_no_request_fails_for_good() {
        assert!(received(&wait(&json!({ "body": "%" }))).unwrap_err().is_non_retryable());
        let mut late = wait(&json!({}));
        late.wait_timeout = Some(true);
        assert_eq!(received(&late).unwrap(), WaitResult::TimedOut);
    }
}
