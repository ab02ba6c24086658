//! What endpoints and clients submit over HTTP: messages that start a run or add to its history (protocol, sections A.10, B.1 to
//! B.3). De-duplication is by identity: the first entry of an identity wins, a repetition changes nothing.

use workflow::protocol::Step;

use super::{
    Command, Transaction, call, invoke,
    trigger::{StartRun, start},
};
use crate::{
    error::EngineError,
    store::{Appended, CallRequest, Identity, Run, message_id},
};

/// A message, understood.
pub enum Submission {
    /// Starts a run.
    Start(Box<StartRun>),
    /// Adds an entry to the history of a run, which is delivered when it is due.
    Step {
        /// The run's id.
        run_id: String,
        /// When the run was created, in milliseconds since the Unix epoch, if the endpoint says so.
        created_at: Option<i64>,
        /// The step.
        step: Box<Step>,
        /// Its body as it was sent.
        body: bytes::Bytes,
        /// Deliver this much later, in milliseconds.
        delay: i64,
        /// Do not deliver before this time (milliseconds since the Unix epoch).
        not_before: i64,
    },
    /// Makes an HTTP request for a step of a run, whose endpoint is told the answer.
    Call {
        /// The run's id.
        run_id: String,
        /// When the run was created, in milliseconds since the Unix epoch, if the endpoint says so.
        created_at: Option<i64>,
        /// The request.
        call: Box<CallRequest>,
        /// Make it this much later, in milliseconds.
        delay: i64,
    },
    /// Starts a run for a step of another one, which waits for its end.
    Invoke {
        /// The id of the run that waits.
        run_id: String,
        /// When that run was created, in milliseconds since the Unix epoch, if the endpoint says so.
        created_at: Option<i64>,
        /// The step that waits, without a result.
        step: Box<Step>,
        /// The run to be started.
        child: Box<StartRun>,
    },
}

impl Submission {
    /// The run that it adds to: its id, and when it was created if the endpoint says so.
    fn run(&self) -> Option<(&str, Option<i64>)> {
        match self {
            Self::Start(_) => None,
            Self::Step { run_id, created_at, .. }
            | Self::Call { run_id, created_at, .. }
            | Self::Invoke { run_id, created_at, .. } => Some((run_id, *created_at)),
        }
    }
}

/// Submits messages, all or none.
pub struct Submit(pub Vec<Submission>);

/// The answer to a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The id of the message, or of the one that came first.
    pub message_id: String,
    /// Whether it was there already.
    pub deduplicated: bool,
    /// The run it belongs to.
    pub run_id: String,
    /// When that run was created, in milliseconds since the Unix epoch.
    pub created_at: i64,
}

impl Command for Submit {
    type Reply = Vec<Published>;

    fn size(&self) -> usize {
        let size = |submission: &Submission| match submission {
            Submission::Start(start) => start.payload.len(),
            Submission::Step { body, .. } => body.len(),
            Submission::Call { call, .. } => call.body.len(),
            Submission::Invoke { child, .. } => child.payload.len(),
        };
        self.0.iter().map(size).sum()
    }

    fn apply(self, tx: &mut Transaction<'_>) -> Result<Self::Reply, EngineError> {
        for submission in &self.0 {
            if let Some((run_id, created_at)) = submission.run() {
                let run = tx.remote_run(run_id)?;
                // Ids come again; what was done for an earlier run does not belong to this one.
                if created_at.is_some_and(|at| at != run.created_at) {
                    return Err(EngineError::Ended(format!(
                        "that run `{run_id}` has ended; there is a newer one"
                    )));
                }
                if let Submission::Invoke { child, .. } = submission {
                    invoke::check(tx, &run, child)?;
                }
            }
        }
        self.0.into_iter().map(|submission| submit(tx, submission)).collect()
    }
}

fn submit(tx: &mut Transaction<'_>, submission: Submission) -> Result<Published, EngineError> {
    match submission {
        Submission::Start(run) => {
            let started = start(tx, *run)?;
            Ok(Published {
                message_id: started.message_id,
                deduplicated: started.deduplicated,
                run_id: started.run_id,
                created_at: started.created_at,
            })
        }
        Submission::Step { run_id, created_at: _, step, body, delay, not_before } => {
            let run = tx.remote_run(&run_id)?;
            let identity = match step.target_step {
                Some(target) => Identity::Plan(target),
                None => Identity::Result(step.step_id),
            };
            let appended = tx.store.append(run.key, identity, tx.now, &body)?;
            if let Appended::At(position) = appended {
                tx.schedule(run.key, position, tx.now.saturating_add(delay).max(not_before))?;
            }
            published(tx, run, identity, appended)
        }
        Submission::Call { run_id, created_at: _, call, delay } => {
            let run = tx.remote_run(&run_id)?;
            let identity = Identity::Request(call.step.step_id);
            let appended = call::request(tx, run.key, call, tx.now.saturating_add(delay))?;
            published(tx, run, identity, appended)
        }
        Submission::Invoke { run_id, created_at: _, step, child } => {
            let run = tx.remote_run(&run_id)?;
            let identity = Identity::Request(step.step_id);
            if tx.store.entry(run.key, identity)?.is_some() {
                return published(tx, run, identity, Appended::Duplicate);
            }
            let started = invoke::invoke(tx, &run, *step, *child)?;
            Ok(Published {
                message_id: started.message_id,
                deduplicated: false,
                run_id: started.run_id,
                created_at: started.created_at,
            })
        }
    }
}

/// The answer to a message that adds an entry to a run.
fn published(
    tx: &mut Transaction<'_>,
    run: Run,
    identity: Identity,
    appended: Appended,
) -> Result<Published, EngineError> {
    let (position, deduplicated) = match appended {
        Appended::At(position) => (position, false),
        Appended::Duplicate => (tx.store.entry(run.key, identity)?.map_or(0, |entry| entry.position), true),
    };
    Ok(Published {
        message_id: message_id(position),
        deduplicated,
        run_id: run.id,
        created_at: run.created_at,
    })
}

/// An endpoint has taken a delivery.
pub struct Delivered {
    /// The delivery.
    pub id: i64,
}

impl Command for Delivered {
    type Reply = ();

    fn apply(self, tx: &mut Transaction<'_>) -> Result<(), EngineError> {
        Ok(tx.store.remove_delivery(self.id)?)
    }
}
