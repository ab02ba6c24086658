//! All runs that a filter selects, page after page.

use futures_util::{Stream, TryStreamExt, stream};

use super::{Client, ClientError, LogQuery, RunLog};

impl Client {
    /// All runs that a query selects, newest first, beginning at its cursor. Pages of `count` runs are fetched as they are needed;
    /// a run that is triggered meanwhile is not among them.
    ///
    /// ```no_run
    /// use std::pin::pin;
    ///
    /// use futures_util::TryStreamExt;
    /// use workflow::client::{LogQuery, RunFilter, RunState};
    ///
    /// # async fn example(client: workflow::Client) -> Result<(), workflow::ClientError> {
    /// let filter = RunFilter { states: vec![RunState::RunFailed], ..RunFilter::default() };
    /// let mut failed = pin!(client.runs(LogQuery { filter, ..LogQuery::default() }));
    /// while let Some(run) = failed.try_next().await? {
    ///     println!("{} has failed: {:?}", run.workflow_run_id, run.failure());
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The stream gives those of [`logs`](Self::logs), and ends after the first.
    pub fn runs(&self, query: LogQuery) -> impl Stream<Item = Result<RunLog, ClientError>> + Send + use<> {
        let client = self.clone();
        let pages = stream::try_unfold(Some(query), move |query| {
            let client = client.clone();
            async move {
                let Some(query) = query else { return Ok(None) };
                let page = client.logs(query.clone()).await?;
                let next = page.cursor.filter(|cursor| !cursor.is_empty());
                let next = next.map(|cursor| LogQuery { cursor: Some(cursor), ..query });
                let runs = stream::iter(page.runs.into_iter().map(Ok));
                Ok(Some((runs, next)))
            }
        });
        pages.try_flatten()
    }
}
