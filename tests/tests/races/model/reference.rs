//! The reference: what runs, waits and notifications do, said as plainly as possible. No threads, no store, no replay.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use workflow::client::RunState;
use workflow_tests::{
    Told,
    script::{Op, Outcome},
};

/// Every run is triggered with this delay between attempts.
pub const RETRY_DELAY: Duration = Duration::from_secs(7);

/// What everybody can see.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    /// The runs, oldest first.
    pub runs: Vec<Seen>,
    /// Who waits for each event and until when (in unix seconds), sorted.
    pub waiters: BTreeMap<String, Vec<(String, i64)>>,
    /// How often each body has run.
    pub executions: BTreeMap<String, usize>,
}

/// What everybody can see of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Its id.
    pub id: String,
    /// Its state.
    pub state: RunState,
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

/// The answer to a notification.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// What became of it (sorted), and whether it was known already.
    Told(Vec<Told>, bool),
    /// Refused with this status.
    Refused(u16),
}

/// All there is.
pub struct Reference {
    now: i64,
    is_attached: bool,
    runs: Vec<Run>,
    answers: BTreeMap<(Option<String>, String, String), Vec<Told>>,
    executions: BTreeMap<String, usize>,
}

struct Run {
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
    /// The first step of the current op.
    first_step: u32,
}

enum Member {
    Waiting { event: String, deadline: i64 },
    Sleeping { until: i64 },
    Failed { due: i64 },
    Done(Outcome),
}

impl Reference {
    /// Nothing has happened yet; an app is attached.
    pub fn new(now: i64) -> Self {
        Self {
            now,
            is_attached: true,
            runs: Vec::new(),
            answers: BTreeMap::new(),
            executions: BTreeMap::new(),
        }
    }

    /// The number of the run that is triggered next.
    pub fn next_number(&self) -> usize {
        self.runs.len()
    }

    /// The run of this number, counted round and round.
    pub fn run_id(&self, number: usize) -> Option<&str> {
        let index = number.checked_rem(self.runs.len())?;
        self.runs.get(index).map(|run| run.id.as_str())
    }

    /// Whether an app is attached.
    pub fn is_attached(&self) -> bool {
        self.is_attached
    }

    /// Starts a run, unless an active one of that id is there: whether it is.
    pub fn trigger(&mut self, id: &str, delay: Duration, retries: u32, ops: Vec<Op>) -> bool {
        if self.newest(id).is_some_and(|run| run.is_active()) {
            return true;
        }
        self.runs.push(Run {
            id: id.to_owned(),
            start_at: self.now + milliseconds(delay),
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
            first_step: 1,
        });
        self.settle();
        false
    }

    /// Notifies everybody, or one run.
    pub fn notify(&mut self, run: Option<&str>, event: &str, data: &str, known_as: Option<&str>) -> Answer {
        let key = known_as.map(|id| (run.map(str::to_owned), event.to_owned(), id.to_owned()));
        if let Some(first) = key.as_ref().and_then(|key| self.answers.get(key)) {
            return Answer::Told(first.clone(), true);
        }
        let mut told = match run {
            None => self.runs.iter_mut().flat_map(|run| run.notify_all(event, data)).collect(),
            Some(id) => match self.newest(id).filter(|run| run.is_active()) {
                None => return Answer::Refused(404),
                Some(run) => vec![run.notify_one(event, data)],
            },
        };
        told.sort();
        if let Some(key) = key {
            self.answers.insert(key, told.clone());
        }
        self.settle();
        Answer::Told(told, false)
    }

    /// Cancels a run: whether there was an active one.
    pub fn cancel(&mut self, id: &str) -> bool {
        match self.newest(id).filter(|run| run.is_active()) {
            None => false,
            Some(run) => {
                run.end(RunState::RunCanceled, None);
                true
            }
        }
    }

    /// Ends a run as if it had returned.
    pub fn end(&mut self, id: &str, output: serde_json::Value) {
        if let Some(run) = self.newest(id).filter(|run| run.is_active()) {
            run.end(RunState::RunSuccess, Some(output));
        }
    }

    /// Time passes.
    pub fn advance(&mut self, by: Duration) {
        self.now += milliseconds(by);
        self.settle();
    }

    /// The app comes or goes.
    pub fn set_attached(&mut self, is_attached: bool) {
        self.is_attached = is_attached;
        self.settle();
    }

    /// What everybody can see. Whoever waits for none of `events` is not seen.
    pub fn world(&self, events: &[&str]) -> World {
        let seen = |run: &Run| Seen {
            id: run.id.clone(),
            state: run.state,
            output: run.output.clone(),
            waits: run.waits.clone(),
            recorded: run.recorded,
            failed: run.failed.values().sum::<u32>() as usize,
            due: run.due(),
        };
        let waiters = events.iter().map(|event| {
            let mut waiters: Vec<_> = self.runs.iter().flat_map(|run| run.waiters(event)).collect();
            waiters.sort();
            ((*event).to_owned(), waiters)
        });
        World {
            runs: self.runs.iter().map(seen).collect(),
            waiters: waiters.collect(),
            executions: self.executions.clone(),
        }
    }

    /// The newest run of this id: the one that the id means.
    fn newest(&mut self, id: &str) -> Option<&mut Run> {
        self.runs.iter_mut().rev().find(|run| run.id == id)
    }

    /// Everything that is due happens.
    fn settle(&mut self) {
        for run in &mut self.runs {
            run.time_out(self.now);
            if self.is_attached {
                while run.is_active() && run.start_at <= self.now && run.go_on(self.now, &mut self.executions)
                {
                    run.time_out(self.now);
                }
            }
        }
    }
}

impl Run {
    fn is_active(&self) -> bool {
        self.state == RunState::RunStarted
    }

    fn end(&mut self, state: RunState, output: Option<serde_json::Value>) {
        self.state = state;
        self.output = output;
        if state == RunState::RunSuccess {
            self.failed.clear();
        }
        self.members = None;
        self.stored.clear();
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

    fn waiters(&self, event: &str) -> Vec<(String, i64)> {
        let deadline = |member: &Member| match member {
            Member::Waiting { event: waits_for, deadline } if waits_for == event => Some(*deadline),
            _ => None,
        };
        let deadlines = self.members.iter().flatten().filter_map(deadline);
        deadlines.map(|deadline| (self.id.clone(), deadline.div_euclid(1000))).collect()
    }

    fn notify_all(&mut self, event: &str, data: &str) -> Vec<Told> {
        let mut told = Vec::new();
        while let Some(index) = self.oldest_wait(event) {
            self.resolve(index, Outcome::Received(data.to_owned()));
            told.push(Told::Delivered(self.id.clone()));
        }
        told
    }

    fn notify_one(&mut self, event: &str, data: &str) -> Told {
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
    fn time_out(&mut self, now: i64) {
        let late = |member: &Member| matches!(member, Member::Waiting { deadline, .. } if *deadline <= now);
        while let Some(index) = self.members.as_ref().and_then(|members| members.iter().position(late)) {
            self.resolve(index, Outcome::TimedOut);
        }
    }

    /// Does one thing; `false` if there is nothing to be done.
    fn go_on(&mut self, now: i64, executions: &mut BTreeMap<String, usize>) -> bool {
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
        for (index, op) in members(op).iter().enumerate() {
            let member = match op {
                Op::Wait(event, timeout) => {
                    Member::Waiting { event: event.clone(), deadline: now + milliseconds(*timeout) }
                }
                Op::Sleep(duration) => Member::Sleeping { until: now + milliseconds(*duration) },
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
            if failed >= flaky(*index).1 {
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

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap()
}
