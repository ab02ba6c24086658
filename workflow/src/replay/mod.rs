//! The rules of replay, without any input or output.
//!
//! A program asks for steps; a history says which of them are recorded. [`Replay`] decides, group by group, what becomes of
//! each step: it is done already, it runs now, or it waits. The driver feeds it what happens (claims, results of bodies,
//! answers of the engine) and does the [`Action`]s that it asks for.
//!
//! * [`action`]: what it asks of the driver.
//! * [`claim`]: a step as the program asks for it.
//! * [`recorded`]: the history, by position.
//! * [`matching`]: which recorded step is which claim; here divergence is found.
//! * [`modes`]: how a group begins on either kind of engine.
//! * [`group`]: the steps that run side by side, and how far each of them is.
//! * [`attempts`]: failed attempts so far.
//! * [`fault`]: why an invocation cannot go on; [`divergence`]: because it does not fit what is recorded.

mod action;
mod attempts;
mod claim;
mod divergence;
mod fault;
mod group;
mod matching;
mod modes;
mod recorded;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

pub use self::divergence::{Divergence, DivergenceKind, ProducedStep, RecordedStep};
pub(crate) use self::{
    action::{Action, Ending},
    attempts::Attempts,
    claim::{Claim, Work},
    fault::Fault,
};
use self::{
    group::{Group, Progress},
    recorded::Recorded,
};
use crate::{
    Error, StepFailure,
    engine::{Failure, Mode, Reply, Report, Retry},
    protocol::Step,
};

/// One invocation's replay of a run.
pub(crate) struct Replay {
    mode: Mode,
    recorded: Recorded,
    attempts: Attempts,
    /// The position of the next group's first step.
    next_id: u32,
    group: Group,
    /// When the first retry of a member of the group is due.
    retry_at: Option<i64>,
    /// Reports that are not answered yet.
    unanswered: usize,
    /// The last report, to be made once all others are answered.
    conclusion: Option<Report>,
    /// How the invocation ends once the last report is taken.
    concluding: Option<Ending>,
    /// Whether the report that was made last lets the engine call again by itself.
    parked: bool,
    /// The failure that was reported last, for the answer.
    failure: Option<Failure>,
    /// The last step that is done.
    passed: Option<ProducedStep>,
    /// Where the program and its history part, if they do.
    divergence: Option<Box<Divergence>>,
    over: bool,
    actions: VecDeque<Action>,
}

impl Replay {
    /// Begins with what is recorded, in the order in which it was recorded.
    pub(crate) fn new(mode: Mode, history: Vec<Step>, attempts: Attempts) -> Self {
        let mut replay = Self {
            mode,
            recorded: Recorded::new(history),
            attempts,
            next_id: 1,
            group: Group::default(),
            retry_at: None,
            unanswered: 0,
            conclusion: None,
            concluding: None,
            parked: false,
            failure: None,
            passed: None,
            divergence: None,
            over: false,
            actions: VecDeque::new(),
        };
        if mode == Mode::Suspend && replay.recorded.ends_with_repetition() {
            replay.end(Ending::Repeated);
        }
        replay
    }

    /// What to do next, if anything.
    pub(crate) fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Whether something later is recorded than what the program has come to: the code that runs now has run before.
    pub(crate) fn is_replaying(&self) -> bool {
        self.recorded.first().is_some()
    }

    /// Whether no group is in flight, so that new claims make the next one.
    pub(crate) fn takes_claims(&self) -> bool {
        self.group.is_empty() && self.unanswered == 0 && !self.over
    }

    /// Which attempt the code before the next step is in, counted from 1.
    pub(crate) fn attempt(&self) -> u32 {
        self.attempts.next(self.next_id)
    }

    /// The program asks for these steps, all in one poll.
    pub(crate) fn claimed(&mut self, claims: Vec<Claim>, now: impl Fn() -> i64) {
        match matching::positions(&claims, self.next_id, &self.recorded) {
            Err(fault) => self.fault(fault),
            Ok(ids) => {
                self.group = Group::new(claims, ids, self.next_id);
                self.begin(&now);
                self.settle();
            }
        }
    }

    /// The body of a member has run.
    pub(crate) fn ran(&mut self, member: usize, result: Result<String, Error>) {
        if !self.group.is_running(member) {
            return;
        }
        let Some(mut step) = self.group.step(member) else { return };
        let report = match result {
            Ok(out) => {
                step.out = Some(out);
                Report::Append(step)
            }
            Err(error) => self.failed(member, step, &error),
        };
        self.report(Some(member), report);
    }

    /// The future of a member was dropped by the program: nobody waits for its result any more.
    pub(crate) fn dropped(&mut self, member: usize) {
        self.group.give_up(member);
        self.settle();
    }

    /// The engine has answered a report.
    pub(crate) fn replied(&mut self, member: Option<usize>, reply: Reply, now: impl Fn() -> i64) {
        self.unanswered = self.unanswered.saturating_sub(1);
        match (reply, member) {
            (Reply::Ended, _) => self.end(Ending::RunEnded),
            (Reply::Answer, _) => {
                let ending = self
                    .failure
                    .take()
                    .map_or(Ending::Suspended, |failure| Ending::Failed(Box::new(failure)));
                self.end(ending);
            }
            (Reply::Done, None) => {
                let ending = self.concluding.take().unwrap_or(Ending::Suspended);
                self.end(ending);
            }
            (_, None) => self.end(Ending::Suspended),
            (_, Some(_)) if self.mode == Mode::Suspend => self.end(Ending::Suspended),
            (Reply::Recorded(step), Some(member)) => {
                self.recorded.note(step.step_id);
                self.progressed(member, Progress::of(step, &now));
            }
            (Reply::RetryAt(due), Some(member)) => {
                self.note_retry(due);
                self.progressed(member, Progress::Pending);
            }
            (Reply::Pending | Reply::Done, Some(member)) => self.progressed(member, Progress::Pending),
        }
    }

    /// The engine refuses a report about a member for good: that is a failure of the step, never to be retried. Gives the
    /// reason back where even the failure was refused.
    pub(crate) fn refused(&mut self, member: usize, reason: String) -> Result<(), String> {
        match self.group.step(member) {
            Some(step) if self.group.refuse(member) => {
                self.unanswered = self.unanswered.saturating_sub(1);
                let report = self.failed(member, step, &Error::non_retryable(reason));
                self.report(Some(member), report);
                Ok(())
            }
            _ => Err(reason),
        }
    }

    /// The function has returned.
    pub(crate) fn returned(&mut self, result: Result<Option<String>, Error>) {
        match (result, self.recorded.first()) {
            (Err(error), None) => self.conclude_failed(None, &error, false),
            (Ok(output), None) => {
                self.concluding = Some(Ending::Completed);
                self.conclude(Report::Complete { output });
            }
            (result, Some(step)) => {
                let error = result.err().map(|error| error.chain());
                let divergence = Divergence::returned(step, error);
                self.fault(divergence.into());
            }
        }
    }

    /// The invocation cannot go on. A broken rule is never retried. Where the program does not fit its history the run is
    /// kept: a deploy heals it.
    pub(crate) fn fault(&mut self, fault: Fault) {
        match fault {
            Fault::Diverged(divergence) => {
                let divergence = divergence.after(self.passed.take());
                self.conclude_failed(None, &Error::msg(divergence.to_string()), true);
                self.divergence = Some(Box::new(divergence));
            }
            Fault::Nested { outer, .. } => {
                let blamed = self.group.step(outer);
                self.conclude_failed(blamed, &Error::non_retryable(fault.to_string()), false);
            }
            Fault::Canceled => match self.recorded.first() {
                Some(step) => {
                    let divergence = Divergence::canceled(step);
                    self.fault(divergence.into());
                }
                None => {
                    self.concluding = Some(Ending::Canceled);
                    self.conclude(Report::Cancel);
                }
            },
            Fault::SameName { .. } | Fault::NoName { .. } => {
                self.conclude_failed(None, &Error::non_retryable(fault.to_string()), false);
            }
        }
    }

    /// Where the program and its history part, if they do.
    pub(crate) fn divergence(&mut self) -> Option<Box<Divergence>> {
        self.divergence.take()
    }

    /// A member of the group as it is told of.
    pub(crate) fn produced(&self, member: usize) -> Option<ProducedStep> {
        self.group.produced(member)
    }

    fn progressed(&mut self, member: usize, progress: Progress) {
        let parked = self.parked && progress == Progress::Pending;
        self.group.set(member, progress);
        if parked {
            self.end(Ending::Suspended);
        } else {
            self.settle();
        }
    }

    /// Ends the group or the invocation when nothing is in flight any more.
    fn settle(&mut self) {
        if self.over || self.unanswered > 0 {
            return;
        }
        if let Some(mut report) = self.conclusion.take() {
            if let Report::Failed(failure @ Failure { step_name: None, keep: false, .. }) = &mut report {
                failure.step_id = self.recorded.next_free();
                self.failure = Some(failure.clone());
            }
            self.report(None, report);
        } else if !self.group.is_empty() && self.group.is_settled() {
            if self.group.is_resolved() {
                self.release();
            } else {
                self.conclude(Report::Park { retry_at: self.retry_at });
            }
        }
    }

    fn note_retry(&mut self, due: i64) {
        self.retry_at = Some(self.retry_at.map_or(due, |other| other.min(due)));
    }

    fn release(&mut self) {
        self.retry_at = None;
        self.next_id = self.group.ids().end;
        let (results, last) = std::mem::take(&mut self.group).into_results();
        self.passed = last;
        self.actions.push_back(Action::Release { results, attempt: self.attempt() });
    }

    /// The report of a body that has failed.
    fn failed(&mut self, member: usize, step: Step, error: &Error) -> Report {
        let (max_retries, record_failure) = self.group.retries(member);
        let message = error.chain();
        let last = self.attempts.is_last(max_retries);
        let record = record_failure.then(|| {
            let failure = StepFailure { message: message.clone() };
            let out = serde_json::to_string(&Err::<(), _>(failure)).ok();
            Step { out, ..step.clone() }
        });
        let retry = if last && max_retries.is_some() { Retry::Never } else { error.retry() };
        let failure = Failure {
            step_id: step.step_id,
            step_name: Some(step.step_name),
            message,
            retry,
            max_retries,
            record,
            park: self.group.len() == 1,
            keep: false,
        };
        self.failure = Some(failure.clone());
        Report::Failed(failure)
    }

    /// An attempt of the blamed step has failed or, of the code between steps, one of the step that would have come next;
    /// which one that is is known when all reports are answered. A divergence is nobody's attempt.
    fn conclude_failed(&mut self, blamed: Option<Step>, error: &Error, keep: bool) {
        let (step_id, step_name) = blamed.map_or((0, None), |step| (step.step_id, Some(step.step_name)));
        let failure = Failure { step_id, step_name, keep, ..Failure::of_code(error) };
        self.failure = Some(failure.clone());
        self.conclude(Report::Failed(failure));
    }

    /// Makes this the last report, after the answers of those that are on their way.
    fn conclude(&mut self, report: Report) {
        self.conclusion = Some(report);
        self.settle();
    }

    fn report(&mut self, member: Option<usize>, report: Report) {
        if let Some(member) = member {
            self.group.set(member, Progress::Reporting);
        }
        self.parked = matches!(
            report,
            Report::Sleep { park: true, .. }
                | Report::Wait { park: true, .. }
                | Report::Call { park: true, .. }
                | Report::Invoke { park: true, .. }
                | Report::Failed(Failure { park: true, .. })
        );
        self.unanswered += 1;
        self.actions.push_back(Action::Report { member, report });
    }

    fn end(&mut self, ending: Ending) {
        if !self.over {
            self.over = true;
            self.actions.push_back(Action::End(ending));
        }
    }
}
