//! One invocation of a workflow function, whoever asked for it.

use std::{future::Future, pin::pin, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Response};
use serde::Serialize;
use tracing::Instrument as _;

use super::answer;
use crate::{
    Error, Workflow, WorkflowContext,
    context::{self, exchange::Exchange},
    driver::drive,
    engine::{Delivery, Reporter, RunInfo},
    protocol::{Step, headers},
    replay::{Attempts, Ending, Replay},
    workflow::decode_payload,
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
    pub(super) fn in_process(delivery: &Delivery, headers: &HeaderMap) -> Self {
        Self {
            run: delivery.run.clone(),
            payload: delivery.payload.clone(),
            headers: users_headers(headers),
            history: delivery.history.clone(),
            attempts: Attempts::of_steps(&delivery.failed_attempts),
            reporter: Arc::clone(&delivery.reporter),
        }
    }

    /// Calls the function and drives it as far as it goes.
    pub(super) async fn run<W: Workflow>(self, args: W::Args) -> Response<Bytes> {
        let span = tracing::info_span!("workflow", name = W::NAME, run = %self.run.id);
        self.invoke::<W>(args).instrument(span).await
    }

    async fn invoke<W: Workflow>(self, args: W::Args) -> Response<Bytes> {
        let run_id = self.run.id.clone();
        let replay = Replay::new(self.reporter.mode(), self.history, self.attempts);
        let exchange = Arc::new(Exchange::default());
        let payload = decode_payload::<W::Payload>(&self.payload)
            .map_err(|error| Error::non_retryable(format!("the payload {error}")));
        let invocation = payload.map(|payload| {
            let (run, headers, exchange) = (self.run, self.headers, Arc::clone(&exchange));
            WorkflowContext::new(context::Invocation { payload, run, headers, exchange })
        });
        let program = async {
            match invocation {
                Ok(ctx) => output(W::run(ctx, args)).await,
                Err(misfit) => Err(misfit),
            }
        };
        let ending = drive(pin!(program), &exchange, replay, &*self.reporter).await;
        log(&ending);
        answer::ended(&run_id, ending)
    }
}

/// What the function returns, as JSON; nothing for null.
async fn output<T: Serialize>(
    function: impl Future<Output = crate::Result<T>>,
) -> crate::Result<Option<String>> {
    let output = serde_json::to_string(&function.await?).map_err(|error| {
        Error::non_retryable(format!("what the workflow returned cannot be turned into JSON: {error}"))
    })?;
    Ok(Some(output).filter(|json| json != "null"))
}

/// The headers that the workflow sees: neither the engine's nor the transport's.
pub(super) fn users_headers(all: &HeaderMap) -> HeaderMap {
    let users = |name: &str| headers::is_users(name) && !headers::is_engine_owned(name);
    all.iter()
        .filter(|(name, _)| users(name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn log(ending: &Result<Ending, crate::engine::ReportError>) {
    match ending {
        Ok(Ending::Completed) => tracing::debug!("the workflow has returned"),
        Ok(Ending::Suspended) => tracing::trace!("the run is suspended"),
        Ok(Ending::RunEnded) => tracing::debug!("the run has ended elsewhere"),
        Ok(Ending::Repeated) => tracing::debug!("the delivery repeats an earlier one"),
        Ok(Ending::Failed(_)) => tracing::trace!("the failure is told by the answer"),
        Err(error) => tracing::error!(%error, "the engine did not take a report"),
    }
}
