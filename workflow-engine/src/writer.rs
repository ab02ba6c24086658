//! The writer: one thread that owns the store and commits whatever has queued up meanwhile (group commit).
//!
//! Every change of state is a [`Command`]. Commands are applied one after the other, in one total order, and each is answered
//! only after the transaction that holds it is durable.

use std::{
    sync::{Arc, mpsc},
    thread,
};

use tokio::sync::oneshot;

use crate::{
    clock::Clock,
    command::{Command, Ids, Outbox, Transaction, fire_timers},
    error::EngineError,
    store::{Store, StoreError},
};

/// At most this many commands share a commit.
const MAX_BATCH_COMMANDS: usize = 1024;

/// A commit is not made larger than this by further commands, so that one large result does not hold up a thousand others.
const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

/// A command with its type erased, on its way through a batch.
trait Job: Send {
    /// Applies the command. An error is the store's: the batch is rolled back.
    fn apply(&mut self, tx: &mut Transaction<'_>) -> Result<(), StoreError>;
    /// Answers it, now that it is known whether the batch is durable.
    fn answer(self: Box<Self>, durable: Result<(), StoreError>);
}

struct Queued<C: Command> {
    command: Option<C>,
    outcome: Option<Result<C::Reply, EngineError>>,
    reply: oneshot::Sender<Result<C::Reply, EngineError>>,
}

impl<C: Command> Job for Queued<C> {
    fn apply(&mut self, tx: &mut Transaction<'_>) -> Result<(), StoreError> {
        let outcome = self.command.take().map(|command| command.apply(tx));
        if let Some(Err(EngineError::Store(error))) = outcome {
            return Err(error);
        }
        self.outcome = outcome;
        Ok(())
    }

    fn answer(self: Box<Self>, durable: Result<(), StoreError>) {
        let outcome = match durable {
            Ok(()) => self.outcome.unwrap_or(Err(EngineError::Closed)),
            Err(error) => Err(EngineError::Store(error)),
        };
        // Nobody may be waiting any more; the command holds all the same.
        let _ = self.reply.send(outcome);
    }
}

enum Message {
    Job {
        job: Box<dyn Job>,
        size: usize,
    },
    /// Look at the clock again.
    Tick,
    /// End after what has been queued so far.
    Close,
}

/// The door to the writer thread.
#[derive(Clone)]
pub struct Writer {
    queue: mpsc::Sender<Message>,
}

impl Writer {
    /// Starts the thread. After every commit it hands what became due to `deliver`.
    pub fn start(
        store: Box<dyn Store>,
        clock: Arc<dyn Clock>,
        deliver: Box<dyn FnMut(Outbox) + Send>,
    ) -> Result<(Self, thread::JoinHandle<()>), EngineError> {
        let (queue, messages) = mpsc::channel();
        let tick = queue.clone();
        clock.on_move(Box::new(move || {
            // A closed queue means that the engine is gone, and with it whoever wants to know.
            let _ = tick.send(Message::Tick);
        }));
        let thread = thread::Builder::new()
            .name("workflow-writer".to_owned())
            .spawn(move || Loop::new(store, clock, messages, deliver).run())
            .map_err(|error| StoreError {
                message: format!("cannot start its thread: {error}"),
                fatal: true,
            })?;
        Ok((Self { queue }, thread))
    }

    /// Applies a command and waits until it is durable.
    pub async fn submit<C: Command>(&self, command: C) -> Result<C::Reply, EngineError> {
        let size = command.size();
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Queued { command: Some(command), outcome: None, reply });
        self.queue.send(Message::Job { job, size }).map_err(|_| EngineError::Closed)?;
        answer.await.map_err(|_| EngineError::Closed)?
    }

    /// Ends the thread after everything that has been queued so far.
    pub fn close(&self) {
        let _ = self.queue.send(Message::Close);
    }
}

struct Loop {
    store: Box<dyn Store>,
    clock: Arc<dyn Clock>,
    messages: mpsc::Receiver<Message>,
    deliver: Box<dyn FnMut(Outbox) + Send>,
    ids: Ids,
    /// Everything due up to here has been handed out.
    horizon: i64,
    /// Nothing falls due before.
    next_due: Option<i64>,
    /// Set once the store cannot be trusted any more.
    broken: Option<StoreError>,
    closing: bool,
}

impl Loop {
    fn new(
        store: Box<dyn Store>,
        clock: Arc<dyn Clock>,
        messages: mpsc::Receiver<Message>,
        deliver: Box<dyn FnMut(Outbox) + Send>,
    ) -> Self {
        Self {
            store,
            clock,
            messages,
            deliver,
            ids: Ids::default(),
            horizon: i64::MIN,
            next_due: Some(i64::MIN),
            broken: None,
            closing: false,
        }
    }

    fn run(mut self) {
        match self.store.last_ids() {
            Ok(last) => self.ids = Ids::after(last),
            Err(error) => self.broken = Some(error),
        }
        while !self.closing {
            let Some(jobs) = self.wait() else { return };
            self.commit(jobs);
        }
    }

    /// Waits for commands, or until something is due. `None` when nobody can send any more.
    fn wait(&mut self) -> Option<Vec<Box<dyn Job>>> {
        let patience =
            if self.broken.is_some() { None } else { self.next_due.and_then(|due| self.clock.until(due)) };
        let first = match patience {
            Some(patience) => match self.messages.recv_timeout(patience) {
                Ok(message) => Some(message),
                Err(mpsc::RecvTimeoutError::Timeout) => None,
                Err(mpsc::RecvTimeoutError::Disconnected) => return None,
            },
            None => Some(self.messages.recv().ok()?),
        };
        let mut jobs = Vec::new();
        let mut bytes = 0;
        let mut next = first;
        while let Some(message) = next {
            match message {
                Message::Job { job, size } => {
                    jobs.push(job);
                    bytes += size;
                }
                Message::Tick => {}
                Message::Close => {
                    self.closing = true;
                    break;
                }
            }
            if jobs.len() >= MAX_BATCH_COMMANDS || bytes >= MAX_BATCH_BYTES {
                break;
            }
            next = self.messages.try_recv().ok();
        }
        Some(jobs)
    }

    fn commit(&mut self, mut jobs: Vec<Box<dyn Job>>) {
        let now = self.clock.now();
        let mut outbox = Outbox::default();
        let outcome = match &self.broken {
            Some(error) => Err(error.clone()),
            None => self.apply(&mut jobs, now, &mut outbox),
        };
        match &outcome {
            Ok(next_due) => {
                self.horizon = now;
                self.next_due = *next_due;
            }
            Err(error) => {
                self.store.rollback();
                tracing::error!(%error, commands = jobs.len(), "a batch of commands was not committed");
                if error.fatal {
                    self.broken = Some(error.clone());
                }
                // What was due stays due; look again soon, not at once.
                self.next_due = Some(now.saturating_add(1000));
            }
        }
        let durable = outcome.map(drop);
        if durable.is_ok() && !(outbox.stopped.is_empty() && outbox.pinned.is_empty()) {
            // A run that was ended from outside is stopped before that is answered, and a key that was paused holds.
            (self.deliver)(std::mem::take(&mut outbox));
        }
        for job in jobs {
            job.answer(durable.clone());
        }
        if durable.is_ok() {
            (self.deliver)(outbox);
        }
    }

    /// Applies a batch, commits it, and says when the next thing falls due.
    fn apply(
        &mut self,
        jobs: &mut [Box<dyn Job>],
        now: i64,
        outbox: &mut Outbox,
    ) -> Result<Option<i64>, StoreError> {
        self.store.begin()?;
        let mut tx = Transaction { store: self.store.as_mut(), now, ids: &mut self.ids, outbox };
        let mut next_due = self.next_due;
        if next_due.is_some_and(|due| due <= now) {
            // A clock that was set back: what falls due from now on is looked at again.
            next_due = fire_timers(&mut tx, self.horizon.min(now))?;
        }
        for job in jobs {
            job.apply(&mut tx)?;
        }
        let next_due = [next_due, tx.outbox.next_due].into_iter().flatten().min();
        self.store.commit()?;
        Ok(next_due)
    }
}
