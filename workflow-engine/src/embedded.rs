//! The engine as `workflow` sees it: behind the traits of its seam.

use std::sync::Arc;

use bytes::Bytes;
use workflow::{
    Client, ClientError,
    client::{
        DeletedLetters, DlqMessage, DlqPage, DlqQuery, DlqSelection, FlowControlChange, FlowControlInfo,
        GlobalParallelism, LogPage, LogQuery, Notification, Notified, Revival, RevivedRuns, RunChanges,
        RunFilter, SigningKeys, Transport, Trigger, Triggered, Waiter,
    },
    engine::{App, BoxFuture, Embedded},
};

use crate::{engine::Engine, error::EngineError};

impl Embedded for Engine {
    fn client(&self) -> Client {
        Self::client(self)
    }

    fn attach(&self, app: Arc<dyn App>) {
        Self::attach(self, app);
    }

    fn shutdown(&self) -> BoxFuture<'_, ()> {
        Box::pin(Self::shutdown(self))
    }

    fn call_webhook(
        &self,
        path: &str,
        request: http::Request<Bytes>,
    ) -> BoxFuture<'_, http::Response<Bytes>> {
        Box::pin(self.answer_webhook(path.to_owned(), request))
    }
}

impl Transport for Engine {
    fn trigger(&self, triggers: Vec<Trigger>) -> BoxFuture<'_, Result<Vec<Triggered>, ClientError>> {
        Box::pin(async { Ok(Self::trigger(self, triggers).await?) })
    }

    fn notify(&self, notification: Notification) -> BoxFuture<'_, Result<Vec<Notified>, ClientError>> {
        Box::pin(async { Ok(Self::notify(self, notification).await?) })
    }

    fn waiters<'a>(&'a self, event_id: &'a str) -> BoxFuture<'a, Result<Vec<Waiter>, ClientError>> {
        Box::pin(async { Ok(Self::waiters(self, event_id).await?) })
    }

    fn cancel(&self, filter: RunFilter) -> BoxFuture<'_, Result<u64, ClientError>> {
        Box::pin(async { Ok(Self::cancel(self, filter).await?) })
    }

    fn logs(&self, query: LogQuery) -> BoxFuture<'_, Result<LogPage, ClientError>> {
        Box::pin(async { Ok(Self::logs(self, query).await?) })
    }

    fn flow_controls(&self) -> BoxFuture<'_, Result<Vec<FlowControlInfo>, ClientError>> {
        Box::pin(async { Ok(Self::flow_controls(self)) })
    }

    fn flow_control<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<FlowControlInfo, ClientError>> {
        Box::pin(async { Ok(Self::flow_control(self, key)) })
    }

    fn change_flow_control<'a>(
        &'a self,
        key: &'a str,
        change: FlowControlChange,
    ) -> BoxFuture<'a, Result<(), ClientError>> {
        Box::pin(async move { Ok(Self::change_flow_control(self, key, change).await?) })
    }

    fn global_parallelism(&self) -> BoxFuture<'_, Result<GlobalParallelism, ClientError>> {
        Box::pin(async { Ok(Self::global_parallelism(self)) })
    }

    fn signing_keys(&self) -> BoxFuture<'_, Result<SigningKeys, ClientError>> {
        Box::pin(async { Ok(Self::keys(self)) })
    }

    fn rotate_signing_keys(&self) -> BoxFuture<'_, Result<SigningKeys, ClientError>> {
        Box::pin(async { Ok(Self::rotate_keys(self).await?) })
    }

    fn dead_letters(&self, query: DlqQuery) -> BoxFuture<'_, Result<DlqPage, ClientError>> {
        Box::pin(async { Ok(Self::dead_letters(self, query).await?) })
    }

    fn dead_letter<'a>(&'a self, dlq_id: &'a str) -> BoxFuture<'a, Result<Option<DlqMessage>, ClientError>> {
        Box::pin(async {
            match Self::dead_letter(self, dlq_id).await {
                Ok(message) => Ok(Some(message)),
                Err(EngineError::NotFound(_)) => Ok(None),
                Err(error) => Err(error.into()),
            }
        })
    }

    fn delete_dead_letters(
        &self,
        selection: DlqSelection,
    ) -> BoxFuture<'_, Result<DeletedLetters, ClientError>> {
        Box::pin(async { Ok(Self::delete_dead_letters(self, selection).await?) })
    }

    fn revive(
        &self,
        revival: Revival,
        selection: DlqSelection,
        changes: RunChanges,
    ) -> BoxFuture<'_, Result<RevivedRuns, ClientError>> {
        Box::pin(async move { Ok(Self::revive(self, revival, selection, changes).await?) })
    }

    fn retry_failure_function<'a>(
        &'a self,
        dlq_id: &'a str,
    ) -> BoxFuture<'a, Result<Triggered, ClientError>> {
        Box::pin(async { Ok(Self::retry_failure_function(self, dlq_id).await?) })
    }

    fn cancel_failure_function<'a>(
        &'a self,
        dlq_id: &'a str,
    ) -> BoxFuture<'a, Result<Triggered, ClientError>> {
        Box::pin(async { Ok(Self::cancel_failure_function(self, dlq_id).await?) })
    }
}
