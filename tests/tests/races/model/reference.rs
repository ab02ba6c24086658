//! The reference: what runs, waits and notifications do, said as plainly as possible. No threads, no store, no replay.

use std::{collections::BTreeMap, time::Duration};

use workflow::client::RunState;
use workflow_tests::{Told, script::Op};

use super::run::{Invoked, Run, Seen, milliseconds};

/// What everybody can see.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    /// The runs, by their ids, oldest first.
    pub runs: Vec<Seen>,
    /// Who waits for each event and until when (in unix seconds), sorted.
    pub waiters: BTreeMap<String, Vec<(String, i64)>>,
    /// How often each body has run.
    pub executions: BTreeMap<String, usize>,
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
        self.runs.get(index).map(Run::id)
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
        let start_at = self.now + milliseconds(delay);
        self.runs.push(Run::new(id, start_at, retries, ops));
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
                self.settle();
                true
            }
        }
    }

    /// Ends a run as if it had returned.
    pub fn end(&mut self, id: &str, output: serde_json::Value) {
        if let Some(run) = self.newest(id).filter(|run| run.is_active()) {
            run.end(RunState::RunSuccess, Some(output));
            self.settle();
        }
    }

    /// The id of a run that has failed and can be resumed or restarted; these runs are counted round and round.
    pub fn queued(&self, number: usize) -> Option<&str> {
        let newest = |id| self.runs.iter().rev().find(|run| run.id() == id);
        let mut queued = self.runs.iter().map(Run::id).filter(|id| newest(*id).is_some_and(Run::is_queued));
        let count = queued.clone().count();
        queued.nth(number.checked_rem(count)?)
    }

    /// A new run goes on for one that has failed, or begins again.
    pub fn revive(&mut self, failed: &str, id: &str, resume: bool) {
        let now = self.now;
        if let Some(run) = self.newest(failed).map(|run| run.revive(id, now, resume)) {
            self.runs.push(run);
        }
        self.settle();
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
        let waiters = events.iter().map(|event| {
            let mut waiters: Vec<_> = self.runs.iter().flat_map(|run| run.waiters(event)).collect();
            waiters.sort();
            ((*event).to_owned(), waiters)
        });
        let mut runs: Vec<_> = self.runs.iter().map(Run::seen).collect();
        runs.sort_by(|one, other| one.id.cmp(&other.id));
        World { runs, waiters: waiters.collect(), executions: self.executions.clone() }
    }

    /// The newest run of this id: the one that the id means.
    fn newest(&mut self, id: &str) -> Option<&mut Run> {
        self.runs.iter_mut().rev().find(|run| run.id() == id)
    }

    /// Everything that is due happens.
    fn settle(&mut self) {
        loop {
            let mut goes_on = self.tell_parents();
            for parent in 0..self.runs.len() {
                let run = &mut self.runs[parent];
                run.time_out(self.now);
                if self.is_attached {
                    while run.go_on(self.now, &mut self.executions) {
                        run.time_out(self.now);
                    }
                }
                for child in run.invoked() {
                    self.invoke(parent, child);
                    goes_on = true;
                }
            }
            if !goes_on && !self.tell_parents() {
                return;
            }
        }
    }

    /// An active run of that id gets one more parent; else a new one begins.
    fn invoke(&mut self, parent: usize, Invoked { step, id, ops }: Invoked) {
        let id = format!("wfr_{id}");
        match self.newest(&id).filter(|run| run.is_active()) {
            Some(run) => run.add_parent(parent, step),
            None => {
                let mut run = Run::new(&id, self.now, 1, ops);
                run.add_parent(parent, step);
                self.runs.push(run);
            }
        }
    }

    /// Those who have invoked a run that has ended are told: whether there were any.
    fn tell_parents(&mut self) -> bool {
        let told: Vec<_> = self.runs.iter_mut().flat_map(Run::ended_for).collect();
        for (parent, step, outcome) in &told {
            self.runs[*parent].child_ended(*step, outcome.clone());
        }
        !told.is_empty()
    }
}
