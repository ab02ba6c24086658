//! What can happen, and how it is drawn at random.

use std::time::Duration;

use proptest::prelude::*;
use workflow_tests::script::{LONG, Op};

/// The events there are.
pub const EVENTS: [&str; 3] = ["e", "f", "a/b?c#d%e ü"];

/// Something that happens. Runs are named by their number, counted round and round.
#[derive(Clone, Debug)]
pub enum Action {
    /// A run is triggered.
    Trigger {
        /// Its id, if it is chosen.
        id: Option<&'static str>,
        /// How much later it starts.
        delay: Duration,
        /// Its retries: at least one, so that no first attempt fails the run while its group is still being registered.
        retries: u32,
        /// What it does.
        ops: Vec<Op>,
    },
    /// All waiters of an event are notified.
    Notify {
        /// The event.
        event: &'static str,
        /// The de-duplication id.
        known_as: Option<&'static str>,
    },
    /// One run is notified.
    NotifyRun {
        /// The run.
        run: usize,
        /// The event.
        event: &'static str,
        /// The de-duplication id.
        known_as: Option<&'static str>,
    },
    /// A run that never was is notified.
    NotifyNobody {
        /// The event.
        event: &'static str,
    },
    /// Time passes.
    Advance(Duration),
    /// A run is cancelled.
    Cancel(usize),
    /// A run is ended from outside.
    End(usize),
    /// A run that has failed is resumed.
    Resume(usize),
    /// A run that has failed is started again from its beginning.
    Restart(usize),
    /// The engine stops, and starts again.
    Crash,
    /// The engine stops, and starts again without its app, which comes back later.
    CrashUnattached,
    /// The app comes back, if it is away.
    Attach,
}

/// An action, and whether the engine stops right after it, before anything that follows from it has happened.
pub type Happening = (Action, bool);

/// A sequence of happenings.
pub fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    prop::collection::vec((action(), prop::bool::weighted(0.1)), 1..40)
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => trigger(),
        5 => (event(), known_as()).prop_map(|(event, known_as)| Action::Notify { event, known_as }),
        8 => (0..8_usize, event(), known_as())
            .prop_map(|(run, event, known_as)| Action::NotifyRun { run, event, known_as }),
        1 => event().prop_map(|event| Action::NotifyNobody { event }),
        6 => prop::sample::select(vec![1, 3, 7, 20, 60, 400]).prop_map(seconds).prop_map(Action::Advance),
        1 => (0..8_usize).prop_map(Action::Cancel),
        1 => (0..8_usize).prop_map(Action::End),
        3 => (0..8_usize).prop_map(Action::Resume),
        1 => (0..8_usize).prop_map(Action::Restart),
        1 => Just(Action::Crash),
        1 => Just(Action::CrashUnattached),
        2 => Just(Action::Attach),
    ]
}

fn trigger() -> impl Strategy<Value = Action> {
    let id = prop::option::weighted(0.5, prop::sample::select(vec!["x", "y", "a/b?c#d%e ü"]));
    let delay = prop_oneof![4 => Just(0), 1 => Just(20)].prop_map(seconds);
    let retries = prop_oneof![3 => Just(1), 1 => 2..=3_u32];
    (id, delay, retries, prop::collection::vec(op(), 1..6))
        .prop_map(|(id, delay, retries, ops)| Action::Trigger { id, delay, retries, ops })
}

fn op() -> impl Strategy<Value = Op> {
    let child = prop::collection::vec(steps(step().boxed()), 1..4);
    let member = prop_oneof![
        8 => step(),
        1 => child.prop_map(|ops| Op::Invoke(String::new(), ops)),
    ];
    steps(member.boxed())
}

/// One step, or several side by side.
fn steps(step: BoxedStrategy<Op>) -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => step.clone(),
        2 => prop::collection::vec(step, 2..5).prop_map(group),
    ]
}

/// Which of two things comes first must not be a matter of luck: beside a notification of the run itself no wait is over at once,
/// and beside a child no step fails the run.
fn group(mut ops: Vec<Op>) -> Op {
    if ops.iter().any(|op| matches!(op, Op::Invoke(..))) {
        for op in &mut ops {
            if let Op::Flaky(_, failures) = op {
                *failures = (*failures).min(1);
            }
        }
    }
    if ops.iter().any(|op| matches!(op, Op::NotifySelf(..))) {
        for op in &mut ops {
            if let Op::Wait(_, timeout) = op {
                *timeout = (*timeout).max(seconds(1));
            }
        }
    }
    Op::Together(ops)
}

/// A step. The place of a body, the data of a notification and the id of a child are filled in when its run is triggered.
fn step() -> impl Strategy<Value = Op> {
    let timeout = prop_oneof![
        1 => Just(Duration::ZERO),
        4 => prop::sample::select(vec![5, 20, 60]).prop_map(seconds),
        5 => Just(LONG),
    ];
    let failures = prop_oneof![4 => Just(0), 2 => 1..=2_u32, 3 => Just(9)];
    prop_oneof![
        6 => (event(), timeout).prop_map(|(event, timeout)| Op::Wait(event.to_owned(), timeout)),
        1 => prop::sample::select(vec![0, 3, 20]).prop_map(seconds).prop_map(Op::Sleep),
        4 => failures.prop_map(|failures| Op::Flaky(String::new(), failures)),
        1 => event().prop_map(|event| Op::NotifySelf(event.to_owned(), String::new())),
    ]
}

fn event() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just(EVENTS[0]), 2 => Just(EVENTS[1]), 1 => Just(EVENTS[2])]
}

fn known_as() -> impl Strategy<Value = Option<&'static str>> {
    prop::option::weighted(0.2, prop::sample::select(vec!["1", "2"]))
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
