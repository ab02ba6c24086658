//! A run as the reference has it.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use workflow::client::RunState;
use workflow_tests::{
    Told,
    script::{Op, Outcome, RETRY_DELAY},
};

/// What everybody can see of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Its id.
    pub id: String,
    /// Its state.
    pub state: RunState,
    /// Whether it is in the dead letter queue.
    pub queued: bool,
    /// What it has returned, if it has.
    pub output: Option<serde_json::Value>,
    /// What came of its waits so far, by step.
    pub waits: BTreeMap<u32, Outcome>,
    /// How many of its steps are recorded. A sleep is when it begins.
    pub recorded: usize,
    /// How many attempts have failed of what is not done.
    pub failed: usize,
    /// When the next attempts are due (in milliseconds since the Unix epoch), sorted.
    pub due: Vec<i64>,
}

/// A child that a step has asked for.
pub struct Invoked {
    /// The step.
    pub step: u32,
    /// The id of the child.
    pub id: String,
    /// What it does.
    pub ops: Vec<Op>,
}

/// A run.
pub struct Run {
    id: String,
    start_at: i64,
    retries: u32,
    ops: Vec<Op>,
    state: RunState,
    output: Option<serde_json::Value>,
    stored: VecDeque<(String, String)>,
    /// What came of the ops that are over.
    outcomes: Vec<Outcome>,
    waits: BTreeMap<u32, Outcome>,
    recorded: usize,
    /// Failed attempts of members of the current op.
    failed: BTreeMap<usize, u32>,
    /// The steps of the current op, once it has begun.
    members: Option<Vec<Member>>,
    /// What is recorded of the steps of the current op, from the run that this one goes on for.
    kept: Vec<Member>,
    /// Whether it has failed, and nobody has taken it out of the dead letter queue.
    queued: bool,
    /// Children that its steps have asked for since it was asked last.
    invoked: Vec<Invoked>,
    /// Which steps of which runs wait for its end.
    parents: Vec<(usize, u32)>,
    /// Whether it goes on for one that has failed: then no step fails.
    revived: bool,
    /// The first step of the current op.
    first_step: u32,
}

#[derive(Clone)]
enum Member {
    Waiting { event: String, deadline: i64 },
    Sleeping { until: i64 },
    Invoking,
    Failed { due: i64 },
    Done(Outcome),
}

impl Run {
    /// A run that has not begun.
    pub fn new(id: &str, start_at: i64, retries: u32, ops: Vec<Op>) -> Self {
        Self {
            id: id.to_owned(),
            start_at,
            retries,
            ops,
            state: RunState::RunStarted,
            output: None,
            stored: VecDeque::new(),
            outcomes: Vec::new(),
            waits: BTreeMap::new(),
            recorded: 0,
            failed: BTreeMap::new(),
            members: None,
            kept: Vec::new(),
            queued: false,
            invoked: Vec::new(),
            parents: Vec::new(),
            revived: false,
            first_step: 1,
        }
    }

    /// The run that goes on for this one, which has failed: with what is recorded and what is stored, if it is resumed.
    pub fn revive(&mut self, id: &str, now: i64, resume: bool) -> Self {
        self.queued = false;
        let stored = std::mem::take(&mut self.stored);
        let new = Self { revived: true, ..Self::new(id, now, self.retries, self.ops.clone()) };
        if !resume {
            return new;
        }
        Self {
            stored,
            outcomes: self.outcomes.clone(),
            waits: self.waits.clone(),
            recorded: self.recorded,
            kept: self.kept.clone(),
            first_step: self.first_step,
            ..new
        }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What everybody can see of it.
    pub fn seen(&self) -> Seen {
        Seen {
            id: self.id.clone(),
            state: self.state,
            queued: self.queued,
            output: self.output.clone(),
            waits: self.waits.clone(),
            recorded: self.recorded,
            failed: self.failed.values().sum::<u32>() as usize,
            due: self.due(),
        }
    }

    /// Whether it has not ended.
    pub fn is_active(&self) -> bool {
        self.state == RunState::RunStarted
    }

    /// The children that it has asked for since it was asked last.
    pub fn invoked(&mut self) -> Vec<Invoked> {
        std::mem::take(&mut self.invoked)
    }

    /// A step of the run of this number waits for its end.
    pub fn add_parent(&mut self, parent: usize, step: u32) {
        self.parents.push((parent, step));
    }

    /// Which steps of which runs learn now that it has ended, and how.
    pub fn ended_for(&mut self) -> Vec<(usize, u32, Outcome)> {
        let outcome = match self.state {
            RunState::RunStarted => return Vec::new(),
            RunState::RunSuccess => Outcome::Completed(self.output.clone().unwrap_or_default()),
            RunState::RunFailed => Outcome::Failed,
            RunState::RunCanceled => Outcome::Canceled,
        };
        let parents = std::mem::take(&mut self.parents);
        parents.into_iter().map(|(parent, step)| (parent, step, outcome.clone())).collect()
    }

    /// The child of a step has ended.
    pub fn child_ended(&mut self, step: u32, outcome: Outcome) {
        if self.is_active()
            && let Some(index) = step.checked_sub(self.first_step)
        {
            self.resolve(index as usize, outcome);
        }
    }

    /// Whether it is in the dead letter queue.
    pub fn is_queued(&self) -> bool {
        self.queued
    }

    /// It has ended: nothing is left of what was pending, unless it has failed and may be resumed.
    pub fn end(&mut self, state: RunState, output: Option<serde_json::Value>) {
        self.state = state;
        self.output = output;
        self.queued = state == RunState::RunFailed;
        let members = self.members.take().unwrap_or_default();
        if self.queued {
            self.kept = members;
        } else {
            self.stored.clear();
        }
        if state == RunState::RunSuccess {
            self.failed.clear();
        }
    }

    fn due(&self) -> Vec<i64> {
        let due = |member: &Member| match member {
            Member::Failed { due } => Some(*due),
            _ => None,
        };
        let mut all: Vec<_> = self.members.iter().flatten().filter_map(due).collect();
        all.sort_unstable();
        all
    }

    /// Its waits for an event: its id, and until when it waits (in unix seconds).
    pub fn waiters(&self, event: &str) -> Vec<(String, i64)> {
        let deadline = |member: &Member| match member {
            Member::Waiting { event: waits_for, deadline } if waits_for == event => Some(*deadline),
            _ => None,
        };
        let deadlines = self.members.iter().flatten().filter_map(deadline);
        deadlines.map(|deadline| (self.id.clone(), deadline.div_euclid(1000))).collect()
    }

    /// All its waits for an event get it.
    pub fn notify_all(&mut self, event: &str, data: &str) -> Vec<Told> {
        let mut told = Vec::new();
        while let Some(index) = self.oldest_wait(event) {
            self.resolve(index, Outcome::Received(data.to_owned()));
            told.push(Told::Delivered(self.id.clone()));
        }
        told
    }

    /// Its oldest wait for an event gets it, or its next one.
    pub fn notify_one(&mut self, event: &str, data: &str) -> Told {
        match self.oldest_wait(event) {
            Some(index) => {
                self.resolve(index, Outcome::Received(data.to_owned()));
                Told::Delivered(self.id.clone())
            }
            None => {
                self.stored.push_back((event.to_owned(), data.to_owned()));
                Told::Stored(self.id.clone())
            }
        }
    }

    /// The members of a group begin to wait in their order.
    fn oldest_wait(&self, event: &str) -> Option<usize> {
        let waits = |member: &Member| matches!(member, Member::Waiting { event: e, .. } if e == event);
        self.members.as_ref()?.iter().position(waits)
    }

    fn resolve(&mut self, index: usize, outcome: Outcome) {
        // A sleep is recorded when it begins.
        self.recorded += usize::from(outcome != Outcome::Slept);
        self.failed.remove(&index);
        if matches!(outcome, Outcome::Received(_) | Outcome::TimedOut) {
            self.waits.insert(self.first_step + u32::try_from(index).unwrap(), outcome.clone());
        }
        if let Some(member) = self.members.as_mut().and_then(|members| members.get_mut(index)) {
            *member = Member::Done(outcome);
        }
    }

    /// Waits whose deadline has come are over, whether an app is there or not.
    pub fn time_out(&mut self, now: i64) {
        let late = |member: &Member| matches!(member, Member::Waiting { deadline, .. } if *deadline <= now);
        while let Some(index) = self.members.as_ref().and_then(|members| members.iter().position(late)) {
            self.resolve(index, Outcome::TimedOut);
        }
    }

    /// Does one thing; `false` if there is nothing to be done.
    pub fn go_on(&mut self, now: i64, executions: &mut BTreeMap<String, usize>) -> bool {
        if !self.is_active() || self.start_at > now {
            return false;
        }
        let Some(op) = self.ops.get(self.outcomes.len()).cloned() else {
            let output = serde_json::to_value(&self.outcomes).unwrap();
            self.end(RunState::RunSuccess, Some(output));
            return true;
        };
        let Some(members) = &self.members else {
            self.begin(&op, now);
            return true;
        };
        let is_over = |member: &Member| matches!(member, Member::Sleeping { until } if *until <= now);
        if let Some(index) = members.iter().position(is_over) {
            self.resolve(index, Outcome::Slept);
            return true;
        }
        let is_due = |member: &Member| matches!(member, Member::Failed { due } if *due <= now);
        let due: Vec<_> = (0..members.len()).filter(|index| is_due(&members[*index])).collect();
        if !due.is_empty() {
            self.attempt(&due, &op, now, executions);
            return true;
        }
        let done = members.iter().map(|member| match member {
            Member::Done(outcome) => Some(outcome.clone()),
            _ => None,
        });
        let Some(done) = done.collect::<Option<Vec<_>>>() else { return false };
        self.first_step += u32::try_from(done.len()).unwrap();
        self.members = None;
        self.outcomes.push(match op {
            Op::Together(_) => Outcome::Together(done),
            _ => done[0].clone(),
        });
        true
    }

    fn begin(&mut self, op: &Op, now: i64) {
        self.members = Some(Vec::new());
        let kept = std::mem::take(&mut self.kept);
        for (index, op) in members(op).iter().enumerate() {
            if let Some(recorded @ (Member::Done(_) | Member::Sleeping { .. })) = kept.get(index) {
                self.members.get_or_insert_default().push(recorded.clone());
                continue;
            }
            let member = match op {
                Op::Wait(event, timeout) => {
                    Member::Waiting { event: event.clone(), deadline: now + milliseconds(*timeout) }
                }
                Op::Sleep(duration) => Member::Sleeping { until: now + milliseconds(*duration) },
                Op::Invoke(..) => Member::Invoking,
                // Something that is to be tried at once.
                _ => Member::Failed { due: now },
            };
            self.members.get_or_insert_default().push(member);
            match op {
                Op::Wait(event, _) => {
                    if let Some(place) = self.stored.iter().position(|(stored, _)| stored == event) {
                        let (_, data) = self.stored.remove(place).unwrap();
                        self.resolve(index, Outcome::Received(data));
                    }
                }
                Op::Sleep(_) => self.recorded += 1,
                Op::Invoke(id, ops) => {
                    let step = self.first_step + u32::try_from(index).unwrap();
                    self.invoked.push(Invoked { step, id: id.clone(), ops: ops.clone() });
                }
                Op::NotifySelf(event, data) => {
                    let told = self.notify_one(event, data);
                    self.resolve(index, Outcome::Told(vec![told]));
                }
                _ => {}
            }
        }
    }

    /// The bodies of these members run side by side; then their results count one after the other, unless one of them has
    /// failed the run.
    fn attempt(&mut self, due: &[usize], op: &Op, now: i64, executions: &mut BTreeMap<String, usize>) {
        let ops = members(op);
        let flaky = |index: usize| match &ops[index] {
            Op::Flaky(place, failures) => (place, *failures),
            other => panic!("{other:?} has no attempts"),
        };
        for index in due {
            *executions.entry(flaky(*index).0.clone()).or_default() += 1;
        }
        for index in due {
            let failed = self.failed.get(index).copied().unwrap_or_default();
            if self.revived || failed >= flaky(*index).1 {
                self.resolve(*index, Outcome::Ran);
                continue;
            }
            self.failed.insert(*index, failed + 1);
            if failed >= self.retries {
                return self.end(RunState::RunFailed, None);
            }
            if let Some(member) = self.members.as_mut().and_then(|members| members.get_mut(*index)) {
                *member = Member::Failed { due: now + milliseconds(RETRY_DELAY) };
            }
        }
    }
}

/// The steps of an op.
fn members(op: &Op) -> &[Op] {
    match op {
        Op::Together(ops) => ops,
        alone => std::slice::from_ref(alone),
    }
}

/// A duration in milliseconds.
pub fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap()
}
