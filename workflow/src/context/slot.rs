//! One step as its future and the driver share it.

use std::{
    future::poll_fn,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use super::exchange::{Exchange, Outcome};
use crate::{Error, protocol::Step, replay::Claim};

/// What a step's future may do next.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Run the body; this is the given attempt, counted from 1.
    Run {
        /// Which attempt.
        attempt: u32,
    },
    /// The step is recorded with this result.
    Done(Step),
}

/// Where the driver leaves a step's turn.
pub(crate) struct Slot {
    state: Mutex<SlotState>,
}

struct SlotState {
    claim: Option<Claim>,
    /// The step's place in its group, once there is one.
    member: Option<usize>,
    turn: Option<Turn>,
    waker: Option<Waker>,
}

impl Slot {
    pub(super) fn new(claim: Claim) -> Arc<Self> {
        let state = SlotState { claim: Some(claim), member: None, turn: None, waker: None };
        Arc::new(Self { state: Mutex::new(state) })
    }

    /// Makes the step a member of a group, and hands its claim over.
    pub(crate) fn join_group(&self, member: usize) -> Option<Claim> {
        let mut state = self.lock();
        state.member = Some(member);
        state.claim.take()
    }

    /// Leaves the step's turn and wakes its future.
    pub(crate) fn put(&self, turn: Turn) {
        let waker = {
            let mut state = self.lock();
            state.turn = Some(turn);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, SlotState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The future's side of a slot. Dropping it before the step is done gives the step up.
pub(super) struct Ticket<'a> {
    exchange: &'a Exchange,
    slot: Arc<Slot>,
    done: bool,
}

impl<'a> Ticket<'a> {
    pub(super) fn new(exchange: &'a Exchange, slot: Arc<Slot>) -> Self {
        Self { exchange, slot, done: false }
    }

    /// Polls for the step's next turn.
    pub(super) fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        let mut state = self.slot.lock();
        match state.turn.take() {
            Some(turn) => {
                self.done = matches!(turn, Turn::Done(_));
                Poll::Ready(turn)
            }
            None => {
                match &mut state.waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    none => *none = Some(cx.waker().clone()),
                }
                Poll::Pending
            }
        }
    }

    /// Waits until the step is recorded, and gives its entry.
    pub(super) async fn recorded(&mut self) -> Step {
        loop {
            if let Turn::Done(step) = poll_fn(|cx| self.poll_turn(cx)).await {
                return step;
            }
        }
    }

    /// The step's place in its group, once there is one.
    pub(super) fn member(&self) -> Option<usize> {
        self.slot.lock().member
    }

    /// Hands over what the body gave.
    pub(super) fn ran(&self, result: Result<String, Error>) {
        if let Some(member) = self.member() {
            self.exchange.push(member, Outcome::Ran(result));
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if mem::replace(&mut self.done, true) {
            return;
        }
        let (member, released) = {
            let state = self.slot.lock();
            (state.member, matches!(state.turn, Some(Turn::Done(_))))
        };
        match member {
            Some(_) if released => {}
            Some(member) => self.exchange.push(member, Outcome::Dropped),
            None => self.exchange.withdraw(&self.slot),
        }
    }
}
