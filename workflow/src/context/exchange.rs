//! Where the steps of a function and the driver that polls it meet.

use std::{
    future::pending,
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    thread::{self, ThreadId},
};

use tracing::{Dispatch, dispatcher};

use super::slot::{Slot, Ticket};
use crate::{
    Error,
    error::panicked,
    protocol::Step,
    replay::{Claim, Fault},
};

/// What became of a step in the hands of its future.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The body has run; its result as JSON.
    Ran(Result<String, Error>),
    /// The future was dropped.
    Dropped,
}

/// What a poll of the function has brought.
#[derive(Default)]
pub(crate) struct News {
    /// Steps that were claimed and are in no group yet, in the order of their claims.
    pub(crate) claims: Vec<Arc<Slot>>,
    /// What became of members of the group in flight.
    pub(crate) outcomes: Vec<(usize, Outcome)>,
    /// Why the invocation cannot go on.
    pub(crate) fault: Option<Fault>,
}

/// The meeting point: step futures put claims and outcomes, the driver takes them.
#[derive(Default)]
pub(crate) struct Exchange {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    news: News,
    /// Whether there is anything in `news` that the driver has not seen.
    fresh: bool,
    /// The thread that polls the function right now.
    polled_by: Option<ThreadId>,
    /// The step whose body is polled right now.
    running: Option<Running>,
    /// The attempt of the code between steps.
    attempt: u32,
    /// Whether the code between steps has run before.
    replaying: bool,
}

#[derive(Clone, Copy)]
struct Running {
    member: usize,
    attempt: u32,
}

impl Exchange {
    /// The driver's side: polls the function, and says whether that has brought anything. While its code runs that has run
    /// before, what it traces goes nowhere: it was told the first time.
    pub(crate) fn while_polled<T>(&self, poll: impl FnOnce() -> T) -> (T, bool) {
        let replaying = {
            let mut state = self.lock();
            state.polled_by = Some(thread::current().id());
            state.replaying
        };
        let polled = if replaying { dispatcher::with_default(&Dispatch::none(), poll) } else { poll() };
        let mut state = self.lock();
        state.polled_by = None;
        let fresh = mem::take(&mut state.fresh);
        (polled, fresh)
    }

    /// The driver's side: takes outcomes and fault, and the claims if a new group may begin.
    pub(crate) fn take(&self, claims_too: bool) -> News {
        let mut state = self.lock();
        let mut news = News { fault: state.news.fault.take(), ..News::default() };
        mem::swap(&mut news.outcomes, &mut state.news.outcomes);
        if claims_too {
            mem::swap(&mut news.claims, &mut state.news.claims);
        }
        news
    }

    /// The driver's side: a new group may begin, and the code before it is in this attempt. Claims that have waited for that
    /// are news.
    /// `replaying` says whether that code has run before.
    pub(crate) fn next_group(&self, attempt: u32, replaying: bool) {
        let mut state = self.lock();
        state.attempt = attempt;
        state.replaying = replaying;
        state.fresh |= !state.news.claims.is_empty();
    }

    /// The driver's side: a body is about to run, and what it traces is new.
    pub(crate) fn run_begins(&self) {
        self.lock().replaying = false;
    }

    /// The attempt of the running step or, outside of one, of the code between steps.
    pub(super) fn attempt(&self) -> u32 {
        let state = self.lock();
        match state.running {
            Some(running) if state.polled_by == Some(thread::current().id()) => running.attempt,
            _ => state.attempt.max(1),
        }
    }

    /// Claims a step. Without a ticket the invocation is over: the claim was a fault.
    ///
    /// # Errors
    ///
    /// If the step is not awaited by the workflow function: nobody would ever run it.
    pub(super) fn claim(&self, claim: Claim) -> crate::Result<Option<Ticket<'_>>> {
        let mut state = self.lock();
        if state.polled_by != Some(thread::current().id()) {
            return Err(Error::non_retryable(format!(
                "the step `{}` ({}) is not awaited by the workflow function itself but by a spawned task or after the \
                 function has ended; await it in the function, together with others by `join!` or `try_join_all`",
                claim.name, claim.location
            )));
        }
        if let Some(Running { member, .. }) = state.running {
            state.stop(Fault::Nested { inner: claim.name, location: claim.location, outer: member });
            return Ok(None);
        }
        let slot = Slot::new(claim);
        state.news.claims.push(Arc::clone(&slot));
        state.fresh = true;
        Ok(Some(Ticket::new(self, slot)))
    }

    /// A step that the engine performs: claims it and waits until it is recorded.
    pub(super) async fn perform(&self, claim: Claim) -> crate::Result<Step> {
        match self.claim(claim)? {
            Some(mut ticket) => Ok(ticket.recorded().await),
            None => pending().await,
        }
    }

    /// Ends the invocation. Never returns: the function is dropped.
    pub(crate) async fn fail<T>(&self, fault: Fault) -> T {
        self.stop(fault);
        pending().await
    }

    /// Ends the invocation: the function is not polled again.
    pub(super) fn stop(&self, fault: Fault) {
        self.lock().stop(fault);
    }

    /// Polls a body, with everybody knowing which step is running. A panic is an ordinary failure of the step.
    pub(super) fn while_running<T>(
        &self,
        member: usize,
        attempt: u32,
        poll: impl FnOnce() -> Poll<crate::Result<T>>,
    ) -> Poll<crate::Result<T>> {
        self.lock().running = Some(Running { member, attempt });
        let polled = catch_unwind(AssertUnwindSafe(poll));
        self.lock().running = None;
        polled.unwrap_or_else(|panic| Err(panicked(&*panic)).into())
    }

    /// Says what became of a member of the group in flight.
    pub(super) fn push(&self, member: usize, outcome: Outcome) {
        let mut state = self.lock();
        state.news.outcomes.push((member, outcome));
        state.fresh = true;
    }

    /// Takes back a claim that is in no group yet.
    pub(super) fn withdraw(&self, slot: &Arc<Slot>) {
        self.lock().news.claims.retain(|claimed| !Arc::ptr_eq(claimed, slot));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn stop(&mut self, fault: Fault) {
        self.news.fault.get_or_insert(fault);
        self.fresh = true;
    }
}
