//! Steps that run a function of the user.

use std::{panic::Location, time::Duration};

use serde::{Serialize, de::DeserializeOwned};

use super::{StepFailure, WorkflowContext, exchange::Exchange, run_step::RunStep};
use crate::replay::{Claim, Work};

impl<P> WorkflowContext<P> {
    /// Runs `body` as a step: its result is recorded, and from then on taken instead of running it again.
    ///
    /// The body may borrow everything around it. Its result goes through JSON, so that the function sees the same value now
    /// and on replay. When it fails, the run is suspended and the step is tried again later, as the run's retries say;
    /// the function does not see the failure. To see it, use [`try_run`](Self::try_run).
    ///
    /// A step runs at least once: when the process dies after the body and before its result is recorded, it runs again.
    ///
    /// ```
    /// # struct Shop;
    /// # impl Shop { async fn charge(&self, order: u32) -> std::io::Result<String> { Ok(format!("charged {order}")) } }
    /// # async fn f(ctx: workflow::WorkflowContext<u32>, shop: Shop) -> workflow::Result<()> {
    /// // `?` makes any error that of a step; that is why there is an `Ok` around what `charge` gives.
    /// let receipt = ctx.run("charge", async || Ok(shop.charge(*ctx.request_payload()).await?)).await?;
    /// # let _: String = receipt; Ok(()) }
    /// ```
    ///
    /// Steps that are awaited together run together, and are recorded one by one. Their names must differ:
    ///
    /// ```
    /// use futures_util::future::try_join_all;
    /// # struct Shop;
    /// # impl Shop { async fn price(&self, item: &str) -> std::io::Result<u64> { Ok(item.len() as u64) } }
    /// # async fn f(ctx: workflow::WorkflowContext<Vec<String>>, shop: Shop) -> workflow::Result<u64> {
    ///
    /// let (ctx, shop) = (&ctx, &shop);
    /// let steps = ctx.request_payload().iter().enumerate().map(|(place, item)| {
    ///     ctx.run(format!("price-{place}"), async move || Ok(shop.price(item).await?))
    /// });
    /// let prices: Vec<u64> = try_join_all(steps).await?;
    /// # Ok(prices.iter().sum()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Only if the step is not awaited by the workflow function itself.
    #[track_caller]
    pub fn run<T, F, B>(&self, name: impl Into<String>, body: F) -> RunStep<'_, crate::Result<T>, F, B>
    where
        T: StepResult,
        F: FnOnce() -> B,
        B: StepBody<Output = crate::Result<T>>,
    {
        self.step(name).run(body)
    }

    /// Like [`run`](Self::run), but when the last attempt has failed (or one that is not to be retried), that failure is
    /// recorded as the step's result and given to the function, instead of failing the run. What the function then does to
    /// make up for it is durable, too.
    ///
    /// ```
    /// # async fn f(ctx: workflow::WorkflowContext<u32>) -> workflow::Result<()> {
    /// let charged = ctx.try_run("charge", async || Ok(10)).await;
    /// if let Err(failure) = charged {
    ///     ctx.run("release", async || Ok(())).await?;
    ///     return Err(workflow::Error::non_retryable(failure));
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// The recorded failure.
    #[track_caller]
    pub fn try_run<T, F, B>(
        &self,
        name: impl Into<String>,
        body: F,
    ) -> RunStep<'_, Result<T, StepFailure>, F, B>
    where
        T: StepResult,
        F: FnOnce() -> B,
        B: StepBody<Output = crate::Result<T>>,
    {
        self.step(name).try_run(body)
    }

    /// A step with options of its own: `ctx.step("charge").retries(5).run(async || …)`.
    #[track_caller]
    pub fn step(&self, name: impl Into<String>) -> StepBuilder<'_> {
        StepBuilder {
            exchange: &self.invocation.exchange,
            name: name.into(),
            retries: None,
            timeout: self.invocation.step_timeout,
            location: Location::caller(),
        }
    }
}

/// What a step can give: anything that serde turns into JSON and back.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the result of a step: it is recorded as JSON and read again",
    label = "the step gives a `{Self}`, which serde cannot write and read",
    note = "add `#[derive(serde::Serialize, serde::Deserialize)]` to the type"
)]
pub trait StepResult: Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: Serialize + DeserializeOwned> StepResult for T {}

/// What the function of a step gives: any future. `async || …` is such a function.
#[diagnostic::on_unimplemented(
    message = "the body of a step must be async: this one gives a `{Self}` at once",
    label = "this step's body is not async",
    note = "write `async || …` instead of `|| …`"
)]
pub trait StepBody: Future {}

#[diagnostic::do_not_recommend]
impl<B: Future> StepBody for B {}

/// A step about to be run. Made by [`WorkflowContext::step`].
#[must_use = "say what to run: `.run(async || …)`"]
pub struct StepBuilder<'a> {
    exchange: &'a Exchange,
    name: String,
    retries: Option<u32>,
    timeout: Option<Duration>,
    location: &'static Location<'static>,
}

impl<'a> StepBuilder<'a> {
    /// How often this step is retried before it has failed for good, instead of as often as the run says. 0 means one
    /// attempt.
    ///
    /// An engine over HTTP counts by run: there a step can have fewer retries than the run, but not more.
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = Some(retries);
        self
    }

    /// How long one attempt of this step may take, instead of as long as the workflow says. It is then given up where it
    /// waits, and counts as failed.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// See [`WorkflowContext::run`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn run<T, F, B>(self, body: F) -> RunStep<'a, crate::Result<T>, F, B>
    where
        T: StepResult,
        F: FnOnce() -> B,
        B: StepBody<Output = crate::Result<T>>,
    {
        let Self { exchange, name, retries, timeout, location } = self;
        let work = Work::Run { max_retries: retries, record_failure: false };
        RunStep::new(exchange, Claim { name, work, location }, timeout, body)
    }

    /// See [`WorkflowContext::try_run`].
    ///
    /// # Errors
    ///
    /// The recorded failure.
    pub fn try_run<T, F, B>(self, body: F) -> RunStep<'a, Result<T, StepFailure>, F, B>
    where
        T: StepResult,
        F: FnOnce() -> B,
        B: StepBody<Output = crate::Result<T>>,
    {
        let Self { exchange, name, retries, timeout, location } = self;
        let work = Work::Run { max_retries: retries, record_failure: true };
        RunStep::tried(exchange, Claim { name, work, location }, timeout, body)
    }
}
