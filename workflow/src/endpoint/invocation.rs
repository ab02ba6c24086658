//! One invocation of a workflow function, whoever asked for it.

use std::{pin::pin, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Response};
use tracing::Instrument as _;

use super::answer;
use crate::{
    EngineHandle, Workflow,
    context::{self, exchange::Exchange},
    driver::{drive, program},
    engine::{Delivery, FailedAttempts, Reporter, RunInfo},
    hooks::Observed,
    protocol::{Step, headers},
    replay::{Attempts, Ending, Replay},
};

/// A run, what it has done so far, and whom to report to.
pub(super) struct Invocation {
    pub(super) run: RunInfo,
    pub(super) payload: Bytes,
    pub(super) headers: HeaderMap,
    pub(super) history: Vec<Step>,
    pub(super) attempts: Attempts,
    pub(super) reporter: Arc<dyn Reporter>,
}

impl Invocation {
    /// The invocation that an engine in this process asks for.
    pub(super) fn in_process(
        delivery: &Delivery,
        history: &[Step],
        failed_attempts: &[FailedAttempts],
        reporter: &Arc<dyn Reporter>,
        headers: &HeaderMap,
    ) -> Box<Self> {
        Box::new(Self {
            run: delivery.run.clone(),
            payload: delivery.payload.clone(),
            headers: users_headers(headers),
            history: history.to_vec(),
            attempts: Attempts::of_steps(failed_attempts),
            reporter: Arc::clone(reporter),
        })
    }

    /// Calls the function and drives it as far as it goes. `engine` is what the app says of its workflows.
    pub(super) fn run<W: Workflow>(
        self: Box<Self>,
        args: W::Args,
        engine: Option<&EngineHandle>,
    ) -> impl Future<Output = Response<Bytes>> + Send {
        let span = tracing::info_span!("workflow", name = W::NAME, run = %self.run.id);
        self.invoke::<W>(args, engine).instrument(span)
    }

    async fn invoke<W: Workflow>(
        self: Box<Self>,
        args: W::Args,
        engine: Option<&EngineHandle>,
    ) -> Response<Bytes> {
        let run_id = self.run.id.clone();
        let exchange = Arc::new(Exchange::default());
        let begun = !self.history.is_empty();
        let observed = Observed::new(engine.and_then(EngineHandle::told), &self.run);
        let invocation = context::Invocation {
            payload: self.payload,
            run: self.run,
            headers: self.headers,
            exchange: Arc::clone(&exchange),
            locations: engine.map(EngineHandle::locations).unwrap_or_default(),
            step_timeout: W::OPTIONS.timeout,
        };
        let program = pin!(program::<W>(invocation, begun, args));
        let mut replay = Replay::new(self.reporter.mode(), self.history, self.attempts);
        let ending = drive(program, &exchange, &mut replay, &*self.reporter, &observed).await;
        log(&ending);
        answer::ended(&run_id, ending)
    }
}

/// The headers that the workflow sees: neither the engine's nor the transport's.
pub(crate) fn users_headers(all: &HeaderMap) -> HeaderMap {
    let users = |name: &str| headers::is_users(name) && !headers::is_engine_owned(name);
    all.iter()
        .filter(|(name, _)| users(name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn log(ending: &Result<Ending, crate::engine::ReportError>) {
    match ending {
        Ok(Ending::Canceled) => tracing::debug!("the workflow has cancelled its run"),
        Ok(Ending::Completed) => tracing::debug!("the workflow has returned"),
        Ok(Ending::Suspended) => tracing::trace!("the run is suspended"),
        Ok(Ending::RunEnded) => tracing::debug!("the run has ended elsewhere"),
        Ok(Ending::Repeated) => tracing::debug!("the delivery repeats an earlier one"),
        Ok(Ending::Failed(_)) => tracing::trace!("the failure is told by the answer"),
        Err(error) => tracing::error!(%error, "the engine did not take a report"),
    }
}
