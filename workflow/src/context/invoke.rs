//! Steps that run another workflow and wait for its end.

use std::{
    any::Any,
    marker::PhantomData,
    panic::Location,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use super::{WorkflowContext, exchange::Exchange, lazy::Lazy};
use crate::{
    Error, FlowControl, Workflow,
    client::{Locations, Trigger},
    json,
    protocol::{InvokeOut, run_id::run_id_of},
    replay::{Claim, Fault, Work},
    workflow::decode_payload,
};

impl<P> WorkflowContext<P> {
    /// Starts a run of the workflow `W` and waits until it has ended; nothing is kept in memory meanwhile.
    ///
    /// `W` is reached where the engine's handle was told that it is
    /// ([`EngineHandle::workflows_at`](crate::EngineHandle::workflows_at)) or, else, beside this workflow: under its name (with
    /// dashes instead of underscores) in place of the last segment of this workflow's own path. [`at`](InvokeStep::at) says
    /// otherwise.
    ///
    /// ```
    /// # use workflow::{InvokeResult, WorkflowContext, workflow};
    /// #[workflow]
    /// async fn charge_card(ctx: WorkflowContext<u64>) -> workflow::Result<String> {
    ///     ctx.run("charge", async || Ok(format!("charged {}", ctx.request_payload()))).await
    /// }
    ///
    /// #[workflow]
    /// async fn process_order(ctx: WorkflowContext<u64>) -> workflow::Result<String> {
    ///     match ctx.invoke::<charge_card>("charge", ctx.request_payload()).retries(5).await? {
    ///         InvokeResult::Completed(receipt) => Ok(receipt),
    ///         InvokeResult::Failed => Err(workflow::Error::non_retryable("the card was not charged")),
    ///         InvokeResult::Canceled => Ok("called off".to_owned()),
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// When awaited: if the payload cannot be turned into JSON, if what the child has returned does not fit its output type, or
    /// if the step is not awaited by the workflow function itself.
    #[track_caller]
    pub fn invoke<W: Workflow>(
        &self,
        name: impl Into<String>,
        payload: &W::Payload,
    ) -> InvokeStep<'_, W::Output>
    where
        W::Payload: Serialize,
        W::Output: DeserializeOwned + 'static,
    {
        let url = self.invocation.locations.url_beside::<W>(self.url());
        let (body, content_type) = match (payload as &dyn Any).downcast_ref::<Bytes>() {
            Some(bytes) => (Ok(bytes.clone()), Some("application/octet-stream".to_owned())),
            None => (encode(payload), None),
        };
        let mut step = self.invoke_with(name.into(), url, body, Location::caller());
        step.0 = step.0.set(|request| {
            request.child.content_type = content_type;
            W::OPTIONS.complete(&mut request.child);
        });
        step
    }

    /// Starts a run of the workflow at `url` and waits until it has ended. For workflows that are known to this program there is
    /// [`invoke`](Self::invoke), which checks the types.
    ///
    /// `url` is absolute, or a path beside this workflow.
    ///
    /// # Errors
    ///
    /// As there.
    #[track_caller]
    pub fn invoke_url<T: DeserializeOwned + 'static>(
        &self,
        name: impl Into<String>,
        url: impl Into<String>,
        payload: &(impl Serialize + ?Sized),
    ) -> InvokeStep<'_, T> {
        self.invoke_with(name.into(), url.into(), encode(payload), Location::caller())
    }

    fn invoke_with<T: DeserializeOwned + 'static>(
        &self,
        name: String,
        url: String,
        body: crate::Result<Bytes>,
        location: &'static Location<'static>,
    ) -> InvokeStep<'_, T> {
        let (body, mistake) = match body {
            Ok(body) => (body, None),
            Err(mistake) => (Bytes::new(), Some(mistake)),
        };
        let child = Trigger { url, body, ..Trigger::default() };
        let parent = self.url().to_owned();
        let request = Request { name, child, parent, mistake, location, output: PhantomData };
        InvokeStep(Lazy::new(&self.invocation.exchange, request, |exchange, request| {
            Box::pin(perform(exchange, request))
        }))
    }
}

/// A child about to be started, as a step. Made by [`WorkflowContext::invoke`].
#[must_use = "a step does nothing until it is awaited"]
pub struct InvokeStep<'a, T>(Lazy<'a, Request<T>, InvokeResult<T>>);

struct Request<T> {
    name: String,
    child: Trigger,
    /// The URL of this workflow.
    parent: String,
    /// Why it cannot be started.
    mistake: Option<Error>,
    location: &'static Location<'static>,
    output: PhantomData<fn() -> T>,
}

impl<T> InvokeStep<'_, T> {
    fn set(self, change: impl FnOnce(&mut Trigger)) -> Self {
        Self(self.0.set(|request| change(&mut request.child)))
    }

    /// Where the child is: an absolute URL, or a path.
    pub fn at(self, url: impl Into<String>) -> Self {
        let url = url.into();
        self.set(|child| child.url = url)
    }

    /// Chooses the child's run id; `wfr_` is put before it. Where a run of that id is active already, its end is waited for.
    pub fn run_id(self, id: impl Into<String>) -> Self {
        let id = run_id_of(&id.into());
        self.set(|child| child.run_id = Some(id))
    }

    /// How often a failed step of the child is retried before the child fails.
    pub fn retries(self, retries: u32) -> Self {
        self.set(|child| child.retries = Some(retries))
    }

    /// The delay before a retry in milliseconds, as an expression over `retried`.
    pub fn retry_delay(self, expression: impl Into<String>) -> Self {
        let expression = expression.into();
        self.set(|child| child.retry_delay = Some(expression))
    }

    /// Limits that the child shares with others of the same key. The child does not have those of its parent.
    pub fn flow_control(self, limits: FlowControl) -> Self {
        Self(self.0.set(|request| {
            if let Err(error) = limits.check() {
                request.mistake.get_or_insert(Error::non_retryable(error));
            }
            request.child.flow_control = Some(limits);
        }))
    }

    /// Adds a label to the child.
    pub fn label(self, label: impl Into<String>) -> Self {
        let label = label.into();
        self.set(|child| child.labels.push(label))
    }

    /// Adds a header that every delivery of the child carries. The child does not have those of its parent.
    pub fn header(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let header = (name.into(), value.into());
        self.set(|child| child.headers.push(header))
    }
}

impl<T> Future for InvokeStep<'_, T> {
    type Output = crate::Result<InvokeResult<T>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

async fn perform<T: DeserializeOwned + 'static>(
    exchange: &Exchange,
    request: Request<T>,
) -> crate::Result<InvokeResult<T>> {
    let Request { name, mut child, parent, mistake, location, output: _ } = request;
    if let Some(mistake) = mistake {
        return Err(mistake);
    }
    child.url = Locations::absolute(&parent, &child.url);
    let step = exchange.perform(Claim { name, work: Work::Invoke(Box::new(child)), location }).await?;
    match json::decode::<InvokeOut>(step.out.as_deref().unwrap_or_default().as_bytes()) {
        Ok(InvokeOut { is_canceled: true, .. }) => Ok(InvokeResult::Canceled),
        Ok(InvokeOut { is_failed: true, .. }) => Ok(InvokeResult::Failed),
        Ok(InvokeOut { body, .. }) => {
            decode_payload(&body.unwrap_or_default().into()).map(InvokeResult::Completed).map_err(|misfit| {
                Error::non_retryable(format!(
                    "what the workflow has returned that step {} `{}` invoked {misfit}",
                    step.step_id, step.step_name
                ))
            })
        }
        Err(misfit) => {
            exchange.fail(Fault::unfit::<InvokeResult<T>>(&step, location, misfit.to_string())).await
        }
    }
}

fn encode<T: Serialize + ?Sized>(payload: &T) -> crate::Result<Bytes> {
    serde_json::to_vec(payload).map(Bytes::from).map_err(|error| {
        Error::non_retryable(format!(
            "the payload of the invoked workflow cannot be turned into JSON: {error}"
        ))
    })
}

/// How a run that was invoked has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the child may have failed"]
pub enum InvokeResult<T> {
    /// It has returned this.
    Completed(T),
    /// It has failed. Why, its own log and the dead letter queue say.
    Failed,
    /// It was cancelled.
    Canceled,
}

impl<T> InvokeResult<T> {
    /// What the child has returned, if it has.
    pub fn completed(self) -> Option<T> {
        match self {
            Self::Completed(output) => Some(output),
            Self::Failed | Self::Canceled => None,
        }
    }
}
