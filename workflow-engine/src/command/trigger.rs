//! Starting runs.

use std::time::Duration;

use bytes::Bytes;
use workflow::client::RunState;

use super::{Command, Transaction};
use crate::{
    error::EngineError,
    store::{Appended, Identity, NewRun, Run, RunConfig, RunKey, message_id},
};

/// Starts runs, all or none.
pub struct TriggerRuns(pub Vec<StartRun>);

/// One run to be started.
pub struct StartRun {
    /// Its id, if the caller has chosen one.
    pub id: Option<String>,
    /// URL of the workflow; a path where the app of this process serves it.
    pub url: String,
    /// The payload.
    pub payload: Bytes,
    /// Everything else.
    pub config: RunConfig,
    /// Start this much later.
    pub delay: Option<Duration>,
    /// Start at this time (milliseconds since the Unix epoch); wins over `delay`.
    pub not_before: Option<i64>,
}

/// A run that was started, or was there already.
#[derive(Clone, Debug)]
pub struct Started {
    /// The run.
    pub key: RunKey,
    /// The run's id.
    pub run_id: String,
    /// When it was created, in milliseconds since the Unix epoch.
    pub created_at: i64,
    /// The message that triggered it.
    pub message_id: String,
    /// Whether an active run of that id was there already.
    pub deduplicated: bool,
}

impl Command for TriggerRuns {
    type Reply = Vec<Started>;

    fn size(&self) -> usize {
        self.0.iter().map(|run| run.payload.len()).sum()
    }

    fn apply(self, tx: &mut Transaction<'_>) -> Result<Self::Reply, EngineError> {
        self.0.into_iter().map(|run| start(tx, run)).collect()
    }
}

pub(super) fn start(tx: &mut Transaction<'_>, start: StartRun) -> Result<Started, EngineError> {
    let id = match start.id {
        Some(id) => {
            if let Some(run) = tx.store.run_by_id(&id)?.filter(Run::is_active) {
                let first = tx.store.entry(run.key, Identity::Init)?;
                return Ok(Started {
                    key: run.key,
                    run_id: id,
                    created_at: run.created_at,
                    message_id: message_id(first.map_or(0, |entry| entry.position)),
                    deduplicated: true,
                });
            }
            id
        }
        None => workflow::protocol::run_id::new_run_id(tx.now),
    };
    let run = NewRun { id, created_at: tx.now, url: start.url, config: start.config };
    let key = tx.store.insert_run(&run)?;
    let position = match tx.store.append(key, Identity::Init, tx.now, &start.payload)? {
        Appended::At(position) => position,
        Appended::Duplicate => 0,
    };
    let delay = start.delay.map_or(0, |delay| i64::try_from(delay.as_millis()).unwrap_or(i64::MAX));
    let due = start.not_before.unwrap_or(tx.now.saturating_add(delay));
    let NewRun { id, created_at, url, config } = run;
    let run = Run {
        key,
        id,
        state: RunState::RunStarted,
        created_at,
        finished_at: None,
        url,
        config,
        output: None,
        wake_at: 0,
    };
    let (run_id, message_id) = (run.id.clone(), message_id(position));
    let started = Started { key, run_id, created_at, message_id, deduplicated: false };
    if run.is_in_process() {
        let payload = start.payload;
        tx.schedule_fresh(key, 0, due, || Some(Box::new((run, payload))))?;
    } else {
        tx.schedule(key, position, due)?;
    }
    Ok(started)
}
