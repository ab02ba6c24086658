//! Taking runs out of the dead letter queue. Whoever comes first has an entry: it is taken out in the same command that starts
//! the new run, so that a run is resumed, restarted or deleted once.

use std::collections::HashMap;

use workflow::{client::Revival, protocol::Step};

use super::{Command, Transaction};
use crate::{
    error::EngineError,
    store::{Appended, DeadLetter, Entry, FailureTarget, Identity, NewRun, RunConfig, RunKey, StoreError},
};

/// About as many bytes are copied in one transaction. The rest is left for the next one.
const MAX_COPIED: usize = 4 * 1024 * 1024;

/// At most this many runs are started in one transaction.
const MAX_STARTED: usize = 100;

/// Starts new runs for failed ones.
pub struct Revive {
    /// The numbers of their entries in the dead letter queue.
    pub letters: Vec<i64>,
    /// From where they go on.
    pub revival: Revival,
    /// What is to be different in the new runs.
    pub changes: ConfigChanges,
}

/// What is to be different in a new run; whatever is absent stays as it was.
#[derive(Clone, Debug, Default)]
pub struct ConfigChanges {
    /// Retries of a failed attempt.
    pub retries: Option<u32>,
    /// Expression for the delay before a retry, in milliseconds.
    pub retry_delay: Option<String>,
    /// Labels; none means that they stay.
    pub labels: Vec<String>,
    /// Start this much later, in milliseconds.
    pub delay: i64,
    /// Who is told if the run fails.
    pub failure_url: Option<String>,
}

/// The answer to [`Revive`].
pub struct Revived {
    /// The new runs, as ids and times of creation in milliseconds since the Unix epoch.
    pub runs: Vec<(String, i64)>,
    /// How many of the entries were dealt with: those at the beginning.
    pub done: usize,
}

impl Command for Revive {
    type Reply = Revived;

    fn size(&self) -> usize {
        MAX_COPIED.min(self.letters.len() * 4096)
    }

    fn apply(self, tx: &mut Transaction<'_>) -> Result<Revived, EngineError> {
        let mut revived = Revived { runs: Vec::new(), done: 0 };
        let mut copied = 0;
        for number in self.letters {
            if copied >= MAX_COPIED || revived.runs.len() >= MAX_STARTED {
                break;
            }
            revived.done += 1;
            // What somebody else has taken meanwhile is theirs.
            let Some(letter) = tx.store.queued_dead_letter(number)? else { continue };
            let Some(failed) = tx.store.run(letter.run)? else { continue };
            let entries = match self.revival {
                Revival::Resume => tx.store.history(failed.key, i64::MAX)?,
                Revival::Restart => tx.store.entry(failed.key, Identity::Init)?.into_iter().collect(),
            };
            copied += entries.iter().map(|entry| entry.data.len()).sum::<usize>();
            let run = NewRun {
                id: workflow::protocol::run_id::new_run_id(tx.now),
                created_at: tx.now,
                url: failed.url.clone(),
                config: self.changes.applied_to(failed.config.clone()),
            };
            let key = tx.store.insert_run(&run)?;
            let positions = copy(tx, key, &entries)?;
            let start = tx.now.saturating_add(self.changes.delay);
            if failed.is_in_process() {
                // Sleeps that are over for the failed run are over for this one.
                tx.store.set_wake_at(key, failed.wake_at)?;
                tx.schedule(key, 0, start)?;
            } else {
                for (position, due) in to_be_delivered(&letter, &entries) {
                    if let Some(position) = positions.get(&position) {
                        tx.schedule(key, *position, due.max(start))?;
                    }
                }
            }
            tx.store.remove_dead_letter(number)?;
            revived.runs.push((run.id, run.created_at));
        }
        Ok(revived)
    }
}

/// Copies entries to a new run, and says where each is now.
fn copy(tx: &mut Transaction<'_>, run: RunKey, entries: &[Entry]) -> Result<HashMap<i64, i64>, StoreError> {
    let mut positions = HashMap::with_capacity(entries.len());
    for entry in entries {
        let at = if entry.is_init() { tx.now } else { entry.at };
        if let Appended::At(position) = tx.store.append(run, entry.identity(), at, &entry.data)? {
            positions.insert(entry.position, position);
        }
    }
    Ok(positions)
}

/// Which entries of the failed run an endpoint over HTTP gets again in the new one, and when they are due (protocol, section I,
/// decision 5): the message that failed; what was about to be delivered; announced steps that have no result, which are begun
/// anew.
fn to_be_delivered(letter: &DeadLetter, entries: &[Entry]) -> Vec<(i64, i64)> {
    let has = |position: i64| entries.iter().any(|entry| entry.position == position);
    let mut all: Vec<(i64, i64)> = letter.failed.pending.iter().map(|p| (p.position, p.due)).collect();
    if !all.iter().any(|(position, _)| *position == letter.failed.position) {
        all.push((letter.failed.position, 0));
    }
    for entry in entries {
        let Identity::Plan(step) = entry.identity() else { continue };
        let has_result = entries.iter().any(|other| other.identity() == Identity::Result(step));
        if !has_result && !all.iter().any(|(position, _)| *position == entry.position) {
            all.push((entry.position, wakes_at(entry)));
        }
    }
    all.retain(|(position, _)| has(*position));
    if all.is_empty() {
        // What has failed is not part of the history: the endpoint goes on from its end.
        all.extend(entries.last().map(|entry| (entry.position, 0)));
    }
    all.sort_unstable();
    all
}

/// When an announced sleep is over, in milliseconds since the Unix epoch; 0 for other steps.
fn wakes_at(entry: &Entry) -> i64 {
    let step = serde_json::from_slice::<Step>(&entry.data).ok();
    let until = step.and_then(|step| step.sleep_until);
    until.map_or(0, |seconds| (seconds * 1000.0).ceil() as i64)
}

impl ConfigChanges {
    fn applied_to(&self, mut config: RunConfig) -> RunConfig {
        config.retries = self.retries.or(config.retries);
        config.retry_delay = self.retry_delay.clone().or(config.retry_delay);
        if !self.labels.is_empty() {
            config.labels.clone_from(&self.labels);
        }
        if let Some(url) = &self.failure_url {
            let before = config.failure.unwrap_or_default();
            config.failure = Some(FailureTarget { url: Some(url.clone()), ..before });
        }
        config
    }
}

/// Takes entries out of the dead letter queue.
pub struct DeleteLetters(pub Vec<i64>);

impl Command for DeleteLetters {
    /// How many there were.
    type Reply = u64;

    fn apply(self, tx: &mut Transaction<'_>) -> Result<u64, EngineError> {
        let mut deleted = 0;
        for number in self.0 {
            if tx.store.queued_dead_letter(number)?.is_some() {
                tx.store.remove_dead_letter(number)?;
                deleted += 1;
            }
        }
        Ok(deleted)
    }
}
