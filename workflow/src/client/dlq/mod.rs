//! The dead letter queue: runs that have failed, to be looked at, resumed, restarted or deleted.

mod http;
mod requests;
mod types;

use std::sync::Arc;

use futures_util::{Stream, TryStreamExt as _, stream};

pub use self::{
    requests::{DeleteRequest, RevivalRequest},
    types::*,
};
use super::{ClientError, Transport, Triggered};
use crate::protocol::run_id::run_id_of;

/// The dead letter queue of an engine; made by [`Client::dlq`](super::Client::dlq). Cheap to clone.
///
/// Every run that fails for good is an entry of it, until it is resumed, restarted or deleted.
///
/// ```no_run
/// # async fn example(client: workflow::Client) -> Result<(), workflow::ClientError> {
/// use std::pin::pin;
/// use futures_util::TryStreamExt;
/// use workflow::client::DlqFilter;
///
/// let retail = DlqFilter { labels: vec!["retail".to_owned()], ..DlqFilter::default() };
/// let mut failed = pin!(client.dlq().messages(retail));
/// while let Some(message) = failed.try_next().await? {
///     println!("{} has failed: {:?}", message.workflow_run_id, message.response_body);
///     // The steps that have succeeded do not run again.
///     client.dlq().resume(message.dlq_id).retries(5).await?;
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Dlq {
    transport: Arc<dyn Transport>,
}

impl std::fmt::Debug for Dlq {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dlq")
    }
}

impl Dlq {
    pub(super) fn new(transport: Arc<dyn Transport>) -> Self {
        Self { transport }
    }

    /// A page of failed runs, the last failure first. See [`messages`](Self::messages) for all pages.
    ///
    /// # Errors
    /// [`ClientError::Refused`] or [`ClientError::Unreachable`] as the engine answers.
    pub async fn list(&self, query: DlqQuery) -> Result<DlqPage, ClientError> {
        self.transport.dead_letters(with_full_ids(query)).await
    }

    /// All failed runs that `filter` selects, the last failure first. Pages are asked for as they are needed.
    ///
    /// # Errors
    /// An item is one if its page could not be had; the stream has ended then.
    pub fn messages(
        &self,
        filter: DlqFilter,
    ) -> impl Stream<Item = Result<DlqMessage, ClientError>> + Send + use<> {
        let first = DlqQuery { filter, ..DlqQuery::default() };
        let dlq = self.clone();
        stream::try_unfold(Some(first), move |query| {
            let dlq = dlq.clone();
            async move {
                let Some(query) = query else { return Ok(None) };
                let page = dlq.list(query.clone()).await?;
                let messages = stream::iter(page.messages.into_iter().map(Ok));
                let next = page.cursor.map(|cursor| DlqQuery { cursor: Some(cursor), ..query });
                Ok(Some((messages, next)))
            }
        })
        .try_flatten()
    }

    /// One failed run, if there is such an entry.
    ///
    /// # Errors
    /// [`ClientError::Refused`] or [`ClientError::Unreachable`] as the engine answers.
    pub async fn get(&self, dlq_id: impl AsRef<str>) -> Result<Option<DlqMessage>, ClientError> {
        self.transport.dead_letter(dlq_id.as_ref()).await
    }

    /// Starts a new run for each entry, with a new id, whose history begins with the steps that have succeeded: it goes on at
    /// the step that failed. The entries are gone then. Await it, possibly after setting options.
    ///
    /// `entries` are one id or several, a [`DlqFilter`], or a [`DlqQuery`]. What is not there any more is passed over.
    ///
    /// # Errors
    /// When awaited: [`ClientError::Refused`] with status 400 if the filter selects by nothing (see
    /// [`resume_all`](Self::resume_all)) or an id is empty, otherwise as the engine answers; [`ClientError::Unreachable`].
    pub fn resume(&self, entries: impl Into<DlqSelection>) -> RevivalRequest {
        RevivalRequest::new(self.transport.clone(), Revival::Resume, entries.into(), false)
    }

    /// [`resume`](Self::resume) for every entry, at most 100 at once: the answer says where to go on.
    ///
    /// # Errors
    /// As there.
    pub fn resume_all(&self) -> RevivalRequest {
        let all = DlqSelection::Found(DlqQuery::default());
        RevivalRequest::new(self.transport.clone(), Revival::Resume, all, true)
    }

    /// Starts a new run for each entry, with a new id and the same payload and settings. All its steps run again. Else as
    /// [`resume`](Self::resume).
    ///
    /// # Errors
    /// As there.
    pub fn restart(&self, entries: impl Into<DlqSelection>) -> RevivalRequest {
        RevivalRequest::new(self.transport.clone(), Revival::Restart, entries.into(), false)
    }

    /// [`restart`](Self::restart) for every entry, at most 100 at once: the answer says where to go on.
    ///
    /// # Errors
    /// As there.
    pub fn restart_all(&self) -> RevivalRequest {
        let all = DlqSelection::Found(DlqQuery::default());
        RevivalRequest::new(self.transport.clone(), Revival::Restart, all, true)
    }

    /// Deletes entries: one id or several, a [`DlqFilter`], or a [`DlqQuery`]. The runs are still listed. Await it.
    ///
    /// # Errors
    /// As for [`resume`](Self::resume).
    pub fn delete(&self, entries: impl Into<DlqSelection>) -> DeleteRequest {
        DeleteRequest::new(self.transport.clone(), entries.into(), false)
    }

    /// Deletes every entry, at most 100 at once: the answer says where to go on.
    ///
    /// # Errors
    /// As for [`resume`](Self::resume).
    pub fn delete_all(&self) -> DeleteRequest {
        DeleteRequest::new(self.transport.clone(), DlqSelection::Found(DlqQuery::default()), true)
    }

    /// Tells of a failure again where the last attempt of it has failed, and says whose.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with status 404 if there is no such entry, and 400 if telling it did not fail; otherwise as
    /// the engine answers; [`ClientError::Unreachable`].
    pub async fn retry_failure_function(&self, dlq_id: impl AsRef<str>) -> Result<Triggered, ClientError> {
        self.transport.retry_failure_function(dlq_id.as_ref()).await
    }

    /// Stops telling a failure that is being told or will be tried again, and says whose. A failure function of this process
    /// that is running is dropped where it awaits.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with status 404 if there is no such entry, and 400 if nobody is being told; otherwise as the
    /// engine answers; [`ClientError::Unreachable`].
    pub async fn cancel_failure_function(&self, dlq_id: impl AsRef<str>) -> Result<Triggered, ClientError> {
        self.transport.cancel_failure_function(dlq_id.as_ref()).await
    }
}

/// Run ids may be given as they were chosen, without `wfr_`.
fn with_full_ids(mut query: DlqQuery) -> DlqQuery {
    query.filter.run_ids.iter_mut().for_each(|id| *id = run_id_of(id));
    query
}

impl From<&str> for DlqSelection {
    fn from(id: &str) -> Self {
        Self::Ids(vec![id.to_owned()])
    }
}

impl From<String> for DlqSelection {
    fn from(id: String) -> Self {
        Self::Ids(vec![id])
    }
}

impl From<Vec<String>> for DlqSelection {
    fn from(ids: Vec<String>) -> Self {
        Self::Ids(ids)
    }
}

impl<const N: usize> From<[&str; N]> for DlqSelection {
    fn from(ids: [&str; N]) -> Self {
        Self::Ids(ids.map(str::to_owned).to_vec())
    }
}

impl From<DlqFilter> for DlqSelection {
    fn from(filter: DlqFilter) -> Self {
        Self::Found(DlqQuery { filter, ..DlqQuery::default() })
    }
}

impl From<DlqQuery> for DlqSelection {
    fn from(query: DlqQuery) -> Self {
        Self::Found(query)
    }
}
