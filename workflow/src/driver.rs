//! Drives one invocation: polls the function, does what the rules of replay ask for, and reports to the engine.
//!
//! The function is polled only when something has woken it, and once it has nothing more to say the driver waits for the
//! engine's answers. In between it never waits for anything else: a function that waits for no step of its own is just
//! pending, like any future.

mod program;
mod waker;

use std::{
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};

pub(crate) use self::program::program;
use self::waker::ProgramWaker;
use crate::{
    context::{
        exchange::{Exchange, Outcome},
        slot::{Slot, Turn},
    },
    engine::{BoxFuture, Mode, Reply, Report, ReportError, Reporter},
    error::panicked,
    hooks::Observed,
    replay::{Action, Ending, Replay},
};

/// A workflow function, called: it gives its output as JSON.
pub(crate) type Program<'a> = dyn Future<Output = crate::Result<Option<String>>> + Send + 'a;

/// Drives an invocation to its end, and tells the app's hooks.
///
/// # Errors
///
/// If the engine cannot take a report now, or refuses even to take a failure. Nothing is known of that report then; the
/// engine finds out by itself.
pub(crate) async fn drive<'a>(
    program: Pin<&'a mut Program<'a>>,
    exchange: &'a Exchange,
    replay: &mut Replay,
    reporter: &'a dyn Reporter,
    observed: &Observed,
) -> Result<Ending, ReportError> {
    let now = || reporter.now();
    let mut driver = Driver::new(program, exchange);
    let mut output = None;
    if !replay.is_replaying() {
        observed.tell(|hooks, run| hooks.run_started(run));
    }
    exchange.next_group(replay.attempt(), replay.is_replaying());
    loop {
        while let Some(action) = replay.next_action() {
            match action {
                Action::Run { member, attempt } => {
                    begins(observed, replay, member, attempt);
                    exchange.run_begins();
                    driver.put(member, Turn::Run { attempt });
                }
                Action::Report { member, report } => {
                    log(&report, reporter.mode());
                    match (&report, member) {
                        (Report::Append(_), _) => {}
                        (Report::Failed(failure), _) => {
                            observed.tell(|hooks, run| hooks.attempt_failed(run, failure));
                        }
                        (Report::Complete { output: returned }, _) if observed.is_observed() => {
                            output.clone_from(returned);
                        }
                        (_, Some(member)) => begins(observed, replay, member, 1),
                        (_, None) => {}
                    }
                    let ran = match &report {
                        Report::Append(step) if observed.is_observed() => step.out.clone(),
                        _ => None,
                    };
                    driver.reports.push(Box::pin(async move {
                        Answer { member, ran, reply: reporter.report(report).await }
                    }));
                }
                Action::Release { results, attempt } => {
                    driver.release(results, attempt, replay.is_replaying());
                    tokio::task::coop::consume_budget().await;
                }
                Action::End(ending) => {
                    if matches!(ending, Ending::Completed) {
                        observed.tell(|hooks, run| hooks.run_completed(run, output.as_deref()));
                    }
                    return Ok(ending);
                }
            }
        }
        match driver.next().await {
            Happening::Answered(Answer { member, ran, reply }) => match (member, reply) {
                (member, Ok(reply)) => {
                    recorded(observed, replay, member, ran, &reply);
                    replay.replied(member, reply, now);
                }
                (Some(member), Err(refusal)) if refusal.permanent => replay
                    .refused(member, refusal.message)
                    .map_err(|message| ReportError { message, permanent: true })?,
                (_, Err(error)) => return Err(error),
            },
            Happening::Returned(result) => replay.returned(result),
            Happening::Polled => {}
        }
        driver.feed(replay, now);
    }
}

/// Tells the hooks that a step begins.
fn begins(observed: &Observed, replay: &Replay, member: usize, attempt: u32) {
    observed.tell(|hooks, run| {
        if let Some(step) = replay.produced(member) {
            hooks.before_step(run, &step, attempt);
        }
    });
}

/// Tells the hooks that a step is recorded. An engine that goes on elsewhere has taken what the body gave (`ran`).
fn recorded(observed: &Observed, replay: &Replay, member: Option<usize>, ran: Option<String>, reply: &Reply) {
    observed.tell(|hooks, run| {
        let out = match reply {
            Reply::Recorded(step) => step.out.as_deref(),
            Reply::Pending if ran.is_some() => ran.as_deref(),
            _ => return,
        };
        if let Some(step) = member.and_then(|member| replay.produced(member)) {
            hooks.after_step(run, &step, out);
        }
    });
}

/// Polls the function and hands its steps their turns.
pub(crate) struct Driver<'a> {
    /// The function, until it has returned.
    program: Option<Pin<&'a mut Program<'a>>>,
    exchange: &'a Exchange,
    waker: Arc<ProgramWaker>,
    /// The slots of the group in flight, by the order of the claims.
    group: Vec<Arc<Slot>>,
    reports: FuturesUnordered<BoxFuture<'a, Answer>>,
}

/// The engine's answer to a report.
pub(crate) struct Answer {
    /// The member of the group that it is about; of an answer about the invocation, none.
    member: Option<usize>,
    /// What a body gave, where somebody wants to know.
    ran: Option<String>,
    reply: Result<Reply, ReportError>,
}

/// What a driver waits for.
pub(crate) enum Happening {
    /// The engine has answered a report.
    Answered(Answer),
    /// The function has returned.
    Returned(crate::Result<Option<String>>),
    /// The function has claimed steps, or done something about the ones it had.
    Polled,
}

impl<'a> Driver<'a> {
    /// A driver of a function that has not been polled yet.
    pub(crate) fn new(program: Pin<&'a mut Program<'a>>, exchange: &'a Exchange) -> Self {
        Self {
            program: Some(program),
            exchange,
            waker: ProgramWaker::new(),
            group: Vec::new(),
            reports: FuturesUnordered::new(),
        }
    }

    /// Waits until something happens.
    pub(crate) async fn next(&mut self) -> Happening {
        let waker = Waker::from(Arc::clone(&self.waker));
        poll_fn(|cx| {
            self.waker.awake();
            if self.waker.take()
                && let Some(happening) = self.poll_program(&mut Context::from_waker(&waker))
            {
                return Poll::Ready(happening);
            }
            if let Poll::Ready(Some(answer)) = self.reports.poll_next_unpin(cx) {
                return Poll::Ready(Happening::Answered(answer));
            }
            self.waker.sleep(cx);
            Poll::Pending
        })
        .await
    }

    fn poll_program(&mut self, cx: &mut Context<'_>) -> Option<Happening> {
        let program = self.program.as_mut()?;
        let (polled, news) =
            self.exchange.while_polled(|| catch_unwind(AssertUnwindSafe(|| program.as_mut().poll(cx))));
        match polled {
            Ok(Poll::Pending) => news.then_some(Happening::Polled),
            Ok(Poll::Ready(result)) => {
                self.program = None;
                Some(Happening::Returned(result))
            }
            Err(panic) => {
                self.program = None;
                Some(Happening::Returned(Err(panicked(&*panic))))
            }
        }
    }

    /// Tells the rules what the function has done.
    pub(crate) fn feed(&mut self, replay: &mut Replay, now: impl Fn() -> i64) {
        let news = self.exchange.take(replay.takes_claims());
        if let Some(fault) = news.fault {
            self.program = None;
            return replay.fault(fault);
        }
        for (member, outcome) in news.outcomes {
            match outcome {
                Outcome::Ran(result) => replay.ran(member, result),
                Outcome::Dropped => replay.dropped(member),
            }
        }
        if !news.claims.is_empty() {
            self.group = news.claims;
            let claims = self.group.iter().enumerate().filter_map(|(member, slot)| slot.join_group(member));
            replay.claimed(claims.collect(), now);
        }
    }

    fn put(&self, member: usize, turn: Turn) {
        if let Some(slot) = self.group.get(member) {
            slot.put(turn);
        }
    }

    /// Gives all steps of the group their results; the code that now runs is in this attempt.
    /// `replaying` says whether it has run before.
    pub(crate) fn release(
        &mut self,
        results: Vec<Option<crate::protocol::Step>>,
        attempt: u32,
        replaying: bool,
    ) {
        self.exchange.next_group(attempt, replaying);
        for (slot, result) in self.group.drain(..).zip(results) {
            if let Some(step) = result {
                slot.put(Turn::Done(step));
            }
        }
        Waker::from(Arc::clone(&self.waker)).wake();
    }
}

/// An engine in this process tells by itself which runs it keeps, and until when.
fn log(report: &Report, mode: Mode) {
    if let Report::Failed(failure) = report
        && !(failure.keep && mode == Mode::Continue)
    {
        tracing::warn!(step = failure.step_name, error = %failure.message, "an attempt has failed");
    }
}
