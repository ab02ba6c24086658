//! A workflow function, called for one invocation.

use std::{future::Future, sync::Arc};

use bytes::Bytes;
use serde::Serialize;

use crate::{Error, Workflow, WorkflowContext, context::Invocation, replay::Divergence};

/// Calls the function of `W` with a run's payload; gives its output as JSON, nothing for null.
///
/// A payload that does not fit fails the run for good, unless the run has recorded something already: it did fit then, and
/// what has changed is the code.
pub(crate) async fn program<W: Workflow>(
    invocation: Invocation<Bytes>,
    has_history: bool,
    args: W::Args,
) -> crate::Result<Option<String>> {
    match W::payload(&invocation.payload) {
        Ok(payload) => {
            let ctx = WorkflowContext::new(invocation.with_payload(payload));
            output(W::run(ctx, args)).await
        }
        Err(misfit) if has_history => {
            let exchange = Arc::clone(&invocation.exchange);
            exchange.fail(Divergence::payload(misfit.to_string()).into()).await
        }
        Err(misfit) => Err(Error::non_retryable(format!("the payload {misfit}"))),
    }
}

async fn output<T: Serialize>(
    function: impl Future<Output = crate::Result<T>>,
) -> crate::Result<Option<String>> {
    let output = serde_json::to_string(&function.await?).map_err(|error| {
        Error::non_retryable(format!("what the workflow returned cannot be turned into JSON: {error}"))
    })?;
    Ok(Some(output).filter(|json| json != "null"))
}
