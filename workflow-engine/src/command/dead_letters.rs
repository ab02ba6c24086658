//! Taking runs out of the dead letter queue. Whoever comes first has an entry: it is taken out in the same command that starts
//! the new run, so that a run is resumed, restarted or deleted once.

use std::collections::HashMap;

use workflow::{FlowControl, client::Revival};

use super::{Command, Transaction};
use crate::{
    error::EngineError,
    store::{
        Appended, DeadLetter, DeliveryKind, Entry, FailureTarget, Identity, NewRun, Run, RunConfig, RunKey,
        StoreError,
    },
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
    /// Limits that the run shares with others.
    pub flow_control: Option<FlowControl>,
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
                Revival::Resume => what_is_kept(tx, &letter, &failed)?,
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
            let positions = copy(tx, key, &run, &entries)?;
            let start = tx.now.saturating_add(self.changes.delay);
            if failed.is_in_process() {
                // A sleep that is recorded ends when it would have ended.
                tx.store.set_wake_at(key, failed.wake_at)?;
                tx.schedule(key, 0, start)?;
            } else {
                for (entry, due) in to_be_delivered(&letter, &entries) {
                    let kind = match entry.identity() {
                        Identity::Answer(_) => DeliveryKind::CallResult,
                        _ => DeliveryKind::Run,
                    };
                    if let Some(position) = positions.get(&entry.position) {
                        tx.schedule_as(kind, key, *position, due.max(start))?;
                    }
                }
            }
            let successor = (self.revival == Revival::Resume).then_some(key);
            tx.store.remove_dead_letter(number, successor)?;
            revived.runs.push((run.id, run.created_at));
        }
        Ok(revived)
    }
}

/// Copies entries to a new run, and says where each is now.
fn copy(
    tx: &mut Transaction<'_>,
    key: RunKey,
    new: &NewRun,
    entries: &[Entry],
) -> Result<HashMap<i64, i64>, StoreError> {
    let mut positions = HashMap::with_capacity(entries.len());
    for entry in entries {
        let at = if entry.is_init() { tx.now } else { entry.at };
        let data = match entry.identity() {
            Identity::Answer(_) => answer_for(new, &entry.data)?,
            _ => entry.data.clone(),
        };
        if let Appended::At(position) = tx.store.append(key, entry.identity(), at, &data)? {
            positions.insert(entry.position, position);
        }
    }
    Ok(positions)
}

/// What an endpoint is told of a call names the run that has made it.
fn answer_for(new: &NewRun, answer: &[u8]) -> Result<Vec<u8>, StoreError> {
    let mut answer: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(answer)?;
    answer.insert("workflowRunId".to_owned(), new.id.as_str().into());
    answer.insert("workflowCreatedAt".to_owned(), new.created_at.into());
    Ok(serde_json::to_vec(&answer)?)
}

/// What a resumed run keeps: the whole history. An endpoint over HTTP is called with everything but requests and answers; of these
/// there are kept the ones that it was about to be told.
fn what_is_kept(
    tx: &mut Transaction<'_>,
    letter: &DeadLetter,
    failed: &Run,
) -> Result<Vec<Entry>, StoreError> {
    let mut entries = tx.store.history(failed.key, i64::MAX)?;
    if failed.is_in_process() {
        return Ok(entries);
    }
    for position in undelivered(letter).map(|(position, _)| position) {
        let Some(answer) = tx.store.entry_at(position)? else { continue };
        if let Identity::Answer(step) = answer.identity() {
            entries.extend(tx.store.entry(failed.key, Identity::Request(step))?);
            entries.push(answer);
        }
    }
    entries.sort_unstable_by_key(|entry| entry.position);
    Ok(entries)
}

/// The positions of what failed and of what was about to be delivered, and when each was due.
fn undelivered(letter: &DeadLetter) -> impl Iterator<Item = (i64, i64)> {
    let pending = letter.failed.pending.iter().map(|pending| (pending.position, pending.due));
    std::iter::once((letter.failed.position, 0)).chain(pending)
}

/// Which entries of the failed run an endpoint over HTTP gets again in the new one, and when they are due (protocol, section I,
/// decision 5): the message that failed; what was about to be delivered; announced steps that have no result, which are begun
/// anew.
fn to_be_delivered<'a>(letter: &DeadLetter, entries: &'a [Entry]) -> Vec<(&'a Entry, i64)> {
    let due: HashMap<i64, i64> = undelivered(letter).collect();
    let has = |identity: Identity| entries.iter().any(|entry| entry.identity() == identity);
    let again = entries.iter().filter_map(|entry| {
        let due = due.get(&entry.position).copied();
        let begun_anew = || match entry.identity() {
            Identity::Plan(step) => !has(Identity::Result(step)) && !has(Identity::Answer(step)),
            _ => false,
        };
        due.or_else(|| begun_anew().then_some(0)).map(|due| (entry, due))
    });
    let mut again: Vec<_> = again.collect();
    if again.is_empty() {
        // What has failed is not kept: the endpoint goes on from the end of the history.
        again.extend(entries.last().map(|entry| (entry, 0)));
    }
    again
}

impl ConfigChanges {
    fn applied_to(&self, mut config: RunConfig) -> RunConfig {
        // Whoever has invoked the failed run was told that it has failed.
        config.invoker = None;
        config.retries = self.retries.or(config.retries);
        config.retry_delay = self.retry_delay.clone().or(config.retry_delay);
        config.flow_control = self.flow_control.clone().or(config.flow_control);
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
                tx.store.remove_dead_letter(number, None)?;
                deleted += 1;
            }
        }
        Ok(deleted)
    }
}
