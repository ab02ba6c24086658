//! The dead letter queue of an engine over HTTP.

use ::http::Method;

use super::{
    DeletedLetters, DlqFilter, DlqMessage, DlqPage, DlqQuery, DlqSelection, Revival, RevivedRuns, RunChanges,
};
use crate::{
    client::{
        ClientError, HttpTransport, Triggered,
        http::Query,
        message::header,
        request::{Request, segment},
    },
    protocol::{duration::format_duration, headers},
};

/// How many entries a request deals with that does not say it.
const COUNT: u32 = 100;

const PATH: &str = "/v2/workflows/dlq";

impl HttpTransport {
    pub(in crate::client) async fn list_dead_letters(&self, query: DlqQuery) -> Result<DlqPage, ClientError> {
        let mut pairs = self.dlq_filter(query.filter)?;
        pairs.add_some("cursor", query.cursor);
        pairs.add_some("count", query.count);
        pairs.add("source", "workflow");
        let request = Request::new(Method::GET, pairs.on("/v2/dlq"));
        let mut page: DlqPage = self.connection().fetch(request).await?;
        page.cursor = page.cursor.filter(|cursor| !cursor.is_empty());
        Ok(page)
    }

    pub(in crate::client) async fn show_dead_letter(
        &self,
        dlq_id: &str,
    ) -> Result<Option<DlqMessage>, ClientError> {
        let path = format!("{PATH}/{}", segment(dlq_id, "the id")?);
        match self.connection().fetch(Request::new(Method::GET, path)).await {
            Ok(message) => Ok(Some(message)),
            Err(ClientError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(in crate::client) async fn remove_dead_letters(
        &self,
        selection: DlqSelection,
    ) -> Result<DeletedLetters, ClientError> {
        let path = self.dlq_selection(selection)?.on(PATH);
        let mut deleted: DeletedLetters = self.connection().fetch(Request::new(Method::DELETE, path)).await?;
        deleted.cursor = deleted.cursor.filter(|cursor| !cursor.is_empty());
        Ok(deleted)
    }

    pub(in crate::client) async fn revive_dead_letters(
        &self,
        revival: Revival,
        selection: DlqSelection,
        changes: RunChanges,
    ) -> Result<RevivedRuns, ClientError> {
        let verb = match revival {
            Revival::Resume => "resume",
            Revival::Restart => "restart",
        };
        let path = self.dlq_selection(selection)?.on(&format!("{PATH}/{verb}"));
        let mut request = Request::new(Method::POST, path);
        for (name, value) in self.changed(changes)? {
            let (name, value) = header(name, &value)?;
            request.headers.insert(name, value);
        }
        let mut revived: RevivedRuns = self.connection().fetch(request).await?;
        revived.cursor = revived.cursor.filter(|cursor| !cursor.is_empty());
        Ok(revived)
    }

    /// Tells of a failure again (`POST`), or not any more (`DELETE`).
    pub(in crate::client) async fn tell_failure(
        &self,
        method: Method,
        dlq_id: &str,
    ) -> Result<Triggered, ClientError> {
        let path = format!("{PATH}/callback/{}", segment(dlq_id, "the id")?);
        self.connection().fetch(Request::new(method, path)).await
    }

    fn dlq_selection(&self, selection: DlqSelection) -> Result<Query, ClientError> {
        match selection {
            DlqSelection::Ids(ids) => {
                let mut query = Query::default();
                ids.iter().for_each(|id| query.add("dlqIds", id));
                Ok(query)
            }
            DlqSelection::Found(DlqQuery { filter, cursor, count }) => {
                let mut query = self.dlq_filter(filter)?;
                query.add("count", count.unwrap_or(COUNT));
                query.add_some("cursor", cursor);
                Ok(query)
            }
        }
    }

    fn dlq_filter(&self, filter: DlqFilter) -> Result<Query, ClientError> {
        let mut query = Query::default();
        filter.run_ids.iter().for_each(|id| query.add("workflowRunId", id));
        filter.labels.iter().for_each(|label| query.add("label", label));
        query.add_some("workflowUrl", filter.workflow_url.map(|url| self.absolute(&url)).transpose()?);
        query.add_some("fromDate", filter.from);
        query.add_some("toDate", filter.to);
        query.add_some("workflowCreatedAt", filter.created_at);
        query.add_some("responseStatus", filter.response_status);
        for state in filter.failure_function {
            query.add("failureFunctionState", state.as_str());
        }
        query.add_some("flowControlKey", filter.flow_control_key);
        Ok(query)
    }

    fn changed(&self, changes: RunChanges) -> Result<Vec<(&'static str, String)>, ClientError> {
        let failure_url = changes.failure_url.map(|url| self.absolute(&url)).transpose()?;
        let (value, key) = changes.flow_control.map(|limits| (limits.value(), limits.key)).unzip();
        let labels = Some(changes.labels.join(",")).filter(|labels| !labels.is_empty());
        let all = [
            (headers::RETRIES, changes.retries.map(|retries| retries.to_string())),
            (headers::RETRY_DELAY, changes.retry_delay),
            (headers::FLOW_CONTROL_KEY, key),
            (headers::FLOW_CONTROL_VALUE, value),
            (headers::LABEL, labels),
            (headers::DELAY, changes.delay.map(format_duration)),
            (headers::FAILURE_CALLBACK, failure_url),
        ];
        Ok(all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
    }
}
