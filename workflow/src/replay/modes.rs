//! How a group begins: in one mode all that is not recorded is done in this invocation, in the other one thing in each.

use super::{Action, Ending, Replay, claim::Work, group::Progress};
use crate::engine::{Mode, Report};

impl Replay {
    /// Begins the group that the program asks for.
    pub(super) fn begin(&mut self, now: &dyn Fn() -> i64) {
        match self.mode {
            Mode::Continue => self.go_on(now),
            Mode::Suspend => self.one_step(now),
        }
    }

    /// Continue: whatever is not recorded is done now.
    fn go_on(&mut self, now: &dyn Fn() -> i64) {
        for member in self.group.members() {
            let Some(id) = self.group.id(member) else { continue };
            match self.recorded.take(id) {
                Some(step) => self.group.set(member, Progress::of(step, now)),
                None => match self.attempts.pending(id, now) {
                    Some(due) => {
                        self.note_retry(due);
                        self.group.set(member, Progress::Pending);
                    }
                    None => self.start(member, now),
                },
            }
        }
    }

    /// Suspend: at most one thing is done in each invocation. The steps of a larger group are announced first; then each
    /// announcement is delivered by itself, and makes its step run; of their results, the last one makes the function go on.
    fn one_step(&mut self, now: &dyn Fn() -> i64) {
        let ids = self.group.ids();
        let results = self.recorded.group(ids.clone()).filter(|(_, step)| step.step_id != 0).count();
        let delivered = self.recorded.delivered_plan().filter(|id| ids.contains(id));
        let delivered_result =
            self.recorded.group(ids.clone()).any(|(id, step)| Some(id) == delivered && step.step_id != 0);
        let begun = self.recorded.group(ids).next().is_some();
        let size = self.group.len();
        if results == size {
            for member in self.group.members() {
                if let Some(step) = self.group.id(member).and_then(|id| self.recorded.take(id)) {
                    self.group.set(member, Progress::Done(step));
                }
            }
        } else if size == 1 {
            self.start(0, now);
        } else if !begun {
            let plans = self.group.plans();
            self.conclude(Report::Plan(plans));
        } else if let Some(member) =
            delivered.filter(|_| !delivered_result).and_then(|id| self.group.member_of(id))
        {
            self.start(member, now);
        } else {
            self.end(Ending::Suspended);
        }
    }

    fn start(&mut self, member: usize, now: &dyn Fn() -> i64) {
        let (Some(claim), Some(step)) = (self.group.claim(member), self.group.step(member)) else { return };
        let sleep_is_over = self.mode == Mode::Suspend
            && self.group.len() > 1
            && matches!(claim.work, Work::SleepFor(_) | Work::SleepUntil(_));
        let report = if sleep_is_over {
            Some(Report::Append(step))
        } else {
            claim.report(step, self.group.len() == 1, now())
        };
        match report {
            Some(report) => self.report(Some(member), report),
            None => {
                let attempt = self.group.id(member).map_or(1, |id| self.attempts.next(id));
                self.group.set(member, Progress::Running);
                self.actions.push_back(Action::Run { member, attempt });
            }
        }
    }
}
