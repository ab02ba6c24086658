//! Requests as they are put together: `client.dlq().resume(id).retries(5).await`.

use std::{future::IntoFuture, sync::Arc, time::Duration};

use super::{
    ClientError, DeletedLetters, DlqFilter, DlqSelection, Revival, RevivedRuns, RunChanges, Transport,
    with_full_ids,
};
use crate::{
    FlowControl,
    client::requests::{check_flow_control, check_labels},
    engine::BoxFuture,
};

/// New runs to be made of failed ones; see [`Dlq::resume`](super::Dlq::resume) and [`Dlq::restart`](super::Dlq::restart).
#[must_use = "nothing is resumed or restarted until it is awaited"]
pub struct RevivalRequest {
    transport: Arc<dyn Transport>,
    revival: Revival,
    selection: DlqSelection,
    all: bool,
    changes: RunChanges,
}

impl RevivalRequest {
    pub(super) fn new(
        transport: Arc<dyn Transport>,
        revival: Revival,
        selection: DlqSelection,
        all: bool,
    ) -> Self {
        Self { transport, revival, selection, all, changes: RunChanges::default() }
    }

    /// How often a failed step of the new runs is retried.
    pub fn retries(mut self, retries: u32) -> Self {
        self.changes.retries = Some(retries);
        self
    }

    /// Delay before a retry in milliseconds, as an expression over `retried`.
    pub fn retry_delay(mut self, expression: impl Into<String>) -> Self {
        self.changes.retry_delay = Some(expression.into());
        self
    }

    /// Limits that the new runs share with everything of the same key.
    pub fn flow_control(mut self, limits: FlowControl) -> Self {
        self.changes.flow_control = Some(limits);
        self
    }

    /// Labels the new runs with this, instead of what the failed ones had; may be called again for more labels.
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.changes.labels.push(label.into());
        self
    }

    /// Starts the new runs this much later.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.changes.delay = Some(delay);
        self
    }

    /// Tells this URL if a new run fails: an absolute one or, on an embedded engine, a path of the app.
    pub fn failure_url(mut self, url: impl Into<String>) -> Self {
        self.changes.failure_url = Some(url.into());
        self
    }

    /// At most this many entries; 100 by default, and never more.
    pub fn count(mut self, count: u32) -> Self {
        set_count(&mut self.selection, count);
        self
    }

    async fn send(self) -> Result<RevivedRuns, ClientError> {
        let Some(selection) = checked(self.selection, self.all)? else { return Ok(RevivedRuns::default()) };
        check_labels(&self.changes.labels)?;
        check_flow_control(self.changes.flow_control.as_ref())?;
        self.transport.revive(self.revival, selection, self.changes).await
    }
}

impl IntoFuture for RevivalRequest {
    type Output = Result<RevivedRuns, ClientError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// Entries of the dead letter queue to be deleted; see [`Dlq::delete`](super::Dlq::delete).
#[must_use = "nothing is deleted until it is awaited"]
pub struct DeleteRequest {
    transport: Arc<dyn Transport>,
    selection: DlqSelection,
    all: bool,
}

impl DeleteRequest {
    pub(super) fn new(transport: Arc<dyn Transport>, selection: DlqSelection, all: bool) -> Self {
        Self { transport, selection, all }
    }

    /// At most this many entries; 100 by default, and never more.
    pub fn count(mut self, count: u32) -> Self {
        set_count(&mut self.selection, count);
        self
    }

    async fn send(self) -> Result<DeletedLetters, ClientError> {
        match checked(self.selection, self.all)? {
            Some(selection) => self.transport.delete_dead_letters(selection).await,
            None => Ok(DeletedLetters::default()),
        }
    }
}

impl IntoFuture for DeleteRequest {
    type Output = Result<DeletedLetters, ClientError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

fn set_count(selection: &mut DlqSelection, count: u32) {
    if let DlqSelection::Found(query) = selection {
        query.count = Some(count);
    }
}

/// The selection, unless it is certain to be empty. One that would select everything by mistake is refused.
fn checked(selection: DlqSelection, all: bool) -> Result<Option<DlqSelection>, ClientError> {
    let refused = |message: &str| Err(ClientError::Refused { status: 400, message: message.to_owned() });
    match selection {
        DlqSelection::Ids(ids) if ids.is_empty() => Ok(None),
        DlqSelection::Ids(ids) if ids.iter().any(String::is_empty) => {
            refused("an id of the dead letter queue is empty")
        }
        DlqSelection::Found(query) if !all && query.filter == DlqFilter::default() => refused(
            "the filter selects by nothing; set a field of it, or use `resume_all`, `restart_all` or `delete_all`",
        ),
        DlqSelection::Found(query) => Ok(Some(DlqSelection::Found(with_full_ids(query)))),
        ids => Ok(Some(ids)),
    }
}
