//! The dead letter queue: runs that have failed, as they are listed (protocol, section C.6), and what is done with them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use workflow::client::{
    DeletedLetters, DlqFilter, DlqMessage, DlqPage, DlqQuery, DlqSelection, FailureCallbackInfo, Revival,
    RevivedRuns, RunChanges, Triggered,
};

use crate::{
    command::{CancelCallback, ConfigChanges, DeleteLetters, RetryCallback, Revive},
    delivery::failure::source_headers,
    engine::Engine,
    error::EngineError,
    limits::check_labels,
    logs::shown_payload,
    retry,
    store::{DeadLetter, Reader, Run, Stored, message_id},
    urls::Urls,
};

/// A page has at most this many entries, and one request deals with no more of those that it has found.
const MAX_PAGE: u32 = 100;

/// At most this many entries are deleted in one transaction.
const DELETED_AT_ONCE: usize = 1000;

impl Engine {
    /// Lists runs that have failed, the last failure first.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] for a cursor that is none.
    pub async fn dead_letters(&self, query: DlqQuery) -> Result<DlqPage, EngineError> {
        let page = Page::of(query, &self.inner.urls)?;
        let urls = self.inner.urls.clone();
        self.inner
            .readers
            .read(move |reader| {
                let (letters, cursor) = page.read(reader)?;
                let shown = letters.iter().filter_map(|letter| show(reader, letter, &urls).transpose());
                Ok(DlqPage { cursor, messages: shown.collect::<Stored<_>>()? })
            })
            .await
    }

    /// One run that has failed.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] if there is no such entry, or not any more.
    pub async fn dead_letter(&self, id: &str) -> Result<DlqMessage, EngineError> {
        let letter = self.letter(id).await?;
        let urls = self.inner.urls.clone();
        let shown = self.inner.readers.read(move |reader| show(reader, &letter, &urls)).await?;
        shown.ok_or_else(|| unknown(id))
    }

    /// Takes entries out of the dead letter queue. The runs stay listed.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] for a cursor that is none.
    pub async fn delete_dead_letters(&self, selection: DlqSelection) -> Result<DeletedLetters, EngineError> {
        let (numbers, cursor) = self.select(selection).await?;
        let mut deleted = 0;
        for numbers in numbers.chunks(DELETED_AT_ONCE) {
            deleted += self.inner.writer.submit(DeleteLetters(numbers.to_vec())).await?;
        }
        Ok(DeletedLetters { cursor, deleted })
    }

    /// Starts a new run for each entry, which is taken out of the queue by the same command. What is not there any more is passed
    /// over.
    ///
    /// # Errors
    /// [`EngineError::Invalid`] for a cursor, retry delay, label or URL that is none; nothing was started then.
    pub async fn revive(
        &self,
        revival: Revival,
        selection: DlqSelection,
        changes: RunChanges,
    ) -> Result<RevivedRuns, EngineError> {
        let changes = understand(changes, &self.inner.urls)?;
        let (mut letters, cursor) = self.select(selection).await?;
        let mut workflow_runs = Vec::with_capacity(letters.len());
        while !letters.is_empty() {
            let revive = Revive { letters: letters.clone(), revival, changes: changes.clone() };
            let revived = self.inner.writer.submit(revive).await?;
            workflow_runs.extend(revived.runs.into_iter().map(|(workflow_run_id, workflow_created_at)| {
                Triggered { workflow_run_id, workflow_created_at, deduplicated: false }
            }));
            letters.drain(..revived.done.min(letters.len()));
        }
        Ok(RevivedRuns { cursor, workflow_runs })
    }

    /// Tells of a failure again where the last attempt of it has failed, and says of which run.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] if there is no such entry, [`EngineError::Invalid`] if telling it did not fail.
    pub async fn retry_failure_function(&self, id: &str) -> Result<Triggered, EngineError> {
        let number = self.letter(id).await?.number;
        Ok(named(self.inner.writer.submit(RetryCallback { number }).await?))
    }

    /// Stops telling a failure that is being told, and says of which run.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] if there is no such entry, [`EngineError::Invalid`] if nobody is being told.
    pub async fn cancel_failure_function(&self, id: &str) -> Result<Triggered, EngineError> {
        let number = self.letter(id).await?.number;
        Ok(named(self.inner.writer.submit(CancelCallback { number }).await?))
    }

    async fn letter(&self, id: &str) -> Result<DeadLetter, EngineError> {
        let number = DeadLetter::number_of(id).ok_or_else(|| unknown(id))?;
        let letter = self.inner.readers.read(move |reader| reader.queued_dead_letter(number)).await?;
        letter.filter(|letter| letter.public_id() == id).ok_or_else(|| unknown(id))
    }

    /// The numbers of the selected entries, and where to go on.
    async fn select(&self, selection: DlqSelection) -> Result<(Vec<i64>, Option<String>), EngineError> {
        match selection {
            DlqSelection::Ids(ids) => {
                let numbers = self.inner.readers.read(move |reader| {
                    let mut numbers = Vec::with_capacity(ids.len());
                    for id in ids {
                        let number = DeadLetter::number_of(&id).unwrap_or_default();
                        let letter = reader.queued_dead_letter(number)?;
                        numbers.extend(letter.filter(|l| l.public_id() == id).map(|l| l.number));
                    }
                    Ok(numbers)
                });
                Ok((numbers.await?, None))
            }
            DlqSelection::Found(query) => {
                let page = Page::of(query, &self.inner.urls)?;
                self.inner
                    .readers
                    .read(move |reader| {
                        let (letters, cursor) = page.read(reader)?;
                        Ok((letters.iter().map(|letter| letter.number).collect(), cursor))
                    })
                    .await
            }
        }
    }
}

/// A page to be read.
struct Page {
    filter: DlqFilter,
    before: i64,
    count: u32,
}

impl Page {
    fn of(query: DlqQuery, urls: &Urls) -> Result<Self, EngineError> {
        let before = match query.cursor.as_deref().filter(|cursor| !cursor.is_empty()) {
            Some(cursor) => cursor.parse().map_err(|_| {
                EngineError::Invalid(format!("`{cursor}` is not a cursor of an earlier page"))
            })?,
            None => i64::MAX,
        };
        let mut filter = query.filter;
        filter.workflow_url = filter.workflow_url.and_then(|url| urls.filter(&url, true).pop());
        Ok(Self { filter, before, count: query.count.unwrap_or(MAX_PAGE).min(MAX_PAGE) })
    }

    /// The entries, and where the next page begins.
    fn read(&self, reader: &dyn Reader) -> Stored<(Vec<DeadLetter>, Option<String>)> {
        // One more than asked for tells whether there is another page.
        let mut letters = reader.dead_letters(&self.filter, self.before, self.count + 1)?;
        let more = letters.len() > self.count as usize;
        letters.truncate(self.count as usize);
        let cursor = letters.last().filter(|_| more).map(|letter| letter.number.to_string());
        Ok((letters, cursor))
    }
}

fn named(run: Run) -> Triggered {
    Triggered { workflow_run_id: run.id, workflow_created_at: run.created_at, deduplicated: false }
}

fn unknown(id: &str) -> EngineError {
    EngineError::NotFound(format!("there is no `{id}` in the dead letter queue"))
}

fn understand(changes: RunChanges, urls: &Urls) -> Result<ConfigChanges, EngineError> {
    check_labels(&changes.labels)?;
    if let Some(expression) = &changes.retry_delay {
        retry::check(expression).map_err(EngineError::Invalid)?;
    }
    if let Some(limits) = &changes.flow_control {
        limits.check().map_err(|error| EngineError::Invalid(error.to_string()))?;
    }
    let delay = changes.delay.map_or(0, |delay| i64::try_from(delay.as_millis()).unwrap_or(i64::MAX));
    Ok(ConfigChanges {
        retries: changes.retries,
        retry_delay: changes.retry_delay,
        labels: changes.labels,
        flow_control: changes.flow_control,
        delay,
        failure_url: changes.failure_url.map(|url| urls.resolve(&url)).transpose()?,
    })
}

/// An entry as the API shows it.
fn show(reader: &dyn Reader, letter: &DeadLetter, urls: &Urls) -> Stored<Option<DlqMessage>> {
    let Some(run) = reader.run(letter.run)? else { return Ok(None) };
    let url = urls.public(&run.url);
    let (body, body_base64) = body_of(reader, &run)?;
    let answer = &letter.failed.answer;
    let limits = run.config.flow_control.as_ref();
    let info = letter.callback.as_ref().map(|callback| FailureCallbackInfo {
        state: callback.state,
        response_status: callback.answer.as_ref().map(|answer| answer.status),
        response_body: callback.answer.as_ref().map(|answer| answer.body.clone()),
        response_headers: callback.answer.as_ref().map(|answer| answer.headers.clone()),
    });
    Ok(Some(DlqMessage {
        dlq_id: letter.public_id(),
        message_id: message_id(letter.failed.position),
        method: "POST".to_owned(),
        header: source_headers(&run, &url, letter.failed.position),
        body,
        body_base64,
        max_retries: letter.failed.max_retries,
        not_before: letter.at,
        created_at: letter.at,
        workflow_run_id: run.id.clone(),
        workflow_created_at: run.created_at,
        workflow_url: url.clone(),
        url,
        response_status: answer.status,
        response_header: answer.headers.clone(),
        response_body: Some(answer.body.clone()),
        failure_callback: letter.callback.as_ref().map(|callback| urls.public(&callback.url)),
        failure_callback_info: info,
        label: run.config.labels.first().cloned(),
        labels: run.config.labels,
        caller_ip: run.config.caller_ip.unwrap_or_default(),
        flow_control_key: limits.map(|limits| limits.key.clone()),
        rate: limits.and_then(|limits| limits.rate),
        parallelism: limits.and_then(|limits| limits.parallelism),
        period: limits.filter(|limits| limits.rate.is_some()).map(|limits| limits.rate_period().as_secs()),
        ..DlqMessage::default()
    }))
}

/// The payload as text or, where it is none, in base64.
fn body_of(reader: &dyn Reader, run: &Run) -> Stored<(Option<String>, Option<String>)> {
    let payload = reader.payload(run.key)?.unwrap_or_default();
    if run.config.redact_payload || std::str::from_utf8(&payload).is_ok() {
        return Ok((Some(shown_payload(run, &payload)), None));
    }
    Ok((None, Some(STANDARD.encode(payload))))
}
