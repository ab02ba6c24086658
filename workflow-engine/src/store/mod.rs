//! The store: what an engine needs to persist, and nothing about what it means.
//!
//! The rules live in [`crate::command`]; a store only keeps rows. All writes happen between [`Store::begin`] and
//! [`Store::commit`], on the one writer thread, so a rule sees the state that the rule before it left.

#[cfg(test)]
mod conformance;
mod dead_letter;
mod request;
mod rows;
mod sqlite;

use workflow::client::DlqFilter;

pub use self::{dead_letter::*, request::*, rows::*, sqlite::Sqlite};

/// A store failed. The transaction that it happened in has no effect.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the store failed: {message}")]
pub struct StoreError {
    /// What the store said.
    pub message: String,
    /// Whether the store cannot be trusted any more (a failed sync): the engine must stop and recover on restart.
    pub fatal: bool,
}

/// The result of a store operation.
pub type Stored<T> = Result<T, StoreError>;

/// The writing side of a store. One per engine, used by one thread.
pub trait Store: Reader + Send {
    /// Begins a transaction.
    fn begin(&mut self) -> Stored<()>;
    /// Makes the transaction durable. When it returns, a power cut loses nothing of it.
    fn commit(&mut self) -> Stored<()>;
    /// Drops the transaction.
    fn rollback(&mut self);

    /// Adds a run and says under which key; the key orders runs by creation.
    fn insert_run(&mut self, run: &NewRun) -> Stored<RunKey>;
    /// Whether a run exists and has not ended.
    fn is_active(&mut self, key: RunKey) -> Stored<bool>;
    /// Sets the time before which a parked run need not be called (milliseconds since the Unix epoch).
    fn set_wake_at(&mut self, key: RunKey, at: i64) -> Stored<()>;
    /// Sets the final state and clears everything that could still touch the run: deliveries, waiters and, unless it has failed and
    /// may be resumed, stored notifications.
    fn end_run(&mut self, key: RunKey, end: &RunEnd) -> Stored<()>;
    /// Keys of active runs that match, oldest first.
    fn select_active(&mut self, filter: &workflow::client::RunFilter, limit: u32) -> Stored<Vec<RunKey>>;

    /// Adds an entry to a run's history unless there is one of that identity. Positions grow over the whole store.
    fn append(&mut self, run: RunKey, identity: Identity, at: i64, data: &[u8]) -> Stored<Appended>;
    /// Reads the entry of that identity.
    fn entry(&mut self, run: RunKey, identity: Identity) -> Stored<Option<Entry>>;

    /// Adds a delivery.
    fn insert_delivery(&mut self, delivery: &Delivery) -> Stored<()>;
    /// Reads a delivery.
    fn delivery(&mut self, id: i64) -> Stored<Option<Delivery>>;
    /// Removes a delivery.
    fn remove_delivery(&mut self, id: i64) -> Stored<()>;
    /// Removes the deliveries that make a run go on.
    fn remove_deliveries(&mut self, run: RunKey) -> Stored<()>;
    /// Whether a run has a delivery that makes it go on.
    fn has_delivery(&mut self, run: RunKey) -> Stored<bool>;
    /// Deliveries with `after < due <= until`, in the order in which they fall due.
    fn due_deliveries(&mut self, after: i64, until: i64, limit: u32) -> Stored<Vec<Delivery>>;
    /// The first time after `after` at which a delivery falls due.
    fn next_delivery_due(&mut self, after: i64) -> Stored<Option<i64>>;
    /// The largest id that a delivery or a waiter has.
    fn last_ids(&mut self) -> Stored<LastIds>;

    /// Adds a waiter.
    fn insert_waiter(&mut self, waiter: &Waiter) -> Stored<()>;
    /// The waiter of a run that has waited for an event longest.
    fn oldest_waiter(&mut self, run: RunKey, event: &str) -> Stored<Option<Waiter>>;
    /// The waiter of this step of a run.
    fn waiter_of_step(&mut self, run: RunKey, step_id: u32) -> Stored<Option<Waiter>>;
    /// Waiters for the end of a run, longest waiting first.
    fn waiters_for_end(&mut self, of: RunKey) -> Stored<Vec<Waiter>>;
    /// How many waiters a run has.
    fn count_waiters(&mut self, run: RunKey) -> Stored<u32>;
    /// Removes a waiter.
    fn remove_waiter(&mut self, id: i64) -> Stored<()>;
    /// Waiters whose deadline is not after `until`, in the order of their deadlines.
    fn due_waiters(&mut self, until: i64, limit: u32) -> Stored<Vec<Waiter>>;
    /// The first deadline of a waiter.
    fn next_waiter_due(&mut self) -> Stored<Option<i64>>;

    /// Stores a notification for a run's next wait.
    fn store_notification(
        &mut self,
        run: RunKey,
        event: &str,
        notification: &StoredNotification,
    ) -> Stored<()>;
    /// Takes the oldest stored notification of a run for an event.
    fn take_notification(&mut self, run: RunKey, event: &str) -> Stored<Option<StoredNotification>>;
    /// How many notifications a run has stored.
    fn count_notifications(&mut self, run: RunKey) -> Stored<u32>;

    /// Sets the failed attempts of a step.
    fn set_attempts(&mut self, run: RunKey, attempts: &Attempts) -> Stored<()>;
    /// Forgets the failed attempts of a step.
    fn clear_attempts(&mut self, run: RunKey, step_id: u32) -> Stored<()>;
    /// Makes all runs that have failed attempts of this step go on at `at`.
    fn hurry(&mut self, step_id: u32, at: i64) -> Stored<()>;

    /// Adds an entry to the dead letter queue and gives its number, which is never used twice.
    fn insert_dead_letter(&mut self, letter: &NewDeadLetter) -> Stored<i64>;
    /// Takes an entry out of the dead letter queue; it stays on record for its run, with the run that goes on for it, if any. That
    /// one gets the notifications that its run has stored.
    fn remove_dead_letter(&mut self, number: i64, successor: Option<RunKey>) -> Stored<()>;
    /// Sets what became of telling a failure.
    fn set_callback(&mut self, number: i64, callback: Option<&ToldFailure>) -> Stored<()>;

    /// What was answered to a request with this de-duplication key.
    fn answered(&mut self, key: &str) -> Stored<Option<Vec<u8>>>;
    /// Remembers the answer to a request with this de-duplication key.
    fn remember_answer(&mut self, key: &str, at: i64, answer: &[u8]) -> Stored<()>;
    /// Forgets answers older than this.
    fn forget_answers(&mut self, before: i64) -> Stored<()>;

    /// What was pinned or paused by hand, by flow-control key.
    fn all_pinned(&mut self) -> Stored<Vec<(String, Pinned)>>;
    /// What was pinned or paused by hand for a flow-control key.
    fn pinned(&mut self, key: &str) -> Stored<Pinned>;
    /// Sets what is pinned or paused for a flow-control key.
    fn set_pinned(&mut self, key: &str, pinned: &Pinned) -> Stored<()>;

    /// Reads a setting.
    fn setting(&mut self, name: &str) -> Stored<Option<String>>;
    /// Writes a setting.
    fn set_setting(&mut self, name: &str, value: &str) -> Stored<()>;
}

/// The reading side of a store: sees what is committed, and on the writer thread also what the open transaction has written.
pub trait Reader {
    /// A run.
    fn run(&self, key: RunKey) -> Stored<Option<Run>>;
    /// The newest run of a public id.
    fn run_by_id(&self, id: &str) -> Stored<Option<Run>>;
    /// What a run's workflow is called with: its history up to and including a position, oldest first, without requests and
    /// answers.
    fn history(&self, run: RunKey, up_to: i64) -> Stored<Vec<Entry>>;
    /// The payload that a run was triggered with.
    fn payload(&self, run: RunKey) -> Stored<Option<Vec<u8>>>;
    /// What the steps of a run have asked the engine to do, oldest first: [`StepRequest`]s.
    fn requests(&self, run: RunKey) -> Stored<Vec<Entry>>;
    /// The entry at a position.
    fn entry_at(&self, position: i64) -> Stored<Option<Entry>>;
    /// Failed attempts of a run, by step.
    fn attempts(&self, run: RunKey) -> Stored<Vec<Attempts>>;
    /// Deliveries of a run, oldest first.
    fn deliveries(&self, run: RunKey) -> Stored<Vec<Delivery>>;
    /// Waiters of a run, oldest first.
    fn waiters_of_run(&self, run: RunKey) -> Stored<Vec<Waiter>>;
    /// Waiters of an event, longest waiting first, at most `limit`.
    fn waiters(&self, event: &str, limit: u32) -> Stored<Vec<Waiter>>;
    /// A page of runs, newest first: those with a key below `before` that match.
    fn list(&self, filter: &workflow::client::RunFilter, before: RunKey, limit: u32) -> Stored<Vec<Run>>;
    /// The dead letter of a run, whether it is still in the queue or not.
    fn dead_letter(&self, run: RunKey) -> Stored<Option<DeadLetter>>;
    /// An entry of the dead letter queue.
    fn queued_dead_letter(&self, number: i64) -> Stored<Option<DeadLetter>>;
    /// A page of the dead letter queue, the last failure first: entries with a number below `before` that match.
    fn dead_letters(&self, filter: &DlqFilter, before: i64, limit: u32) -> Stored<Vec<DeadLetter>>;
}
