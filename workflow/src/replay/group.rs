//! Steps that run side by side, and how far each of them is.

use std::ops::Range;

use super::{Claim, ProducedStep, Work, claim::due};
use crate::protocol::Step;

/// The group in flight. Its members are numbered by the order of their claims, which may differ from that of their ids.
#[derive(Debug, Default)]
pub(super) struct Group {
    members: Vec<Member>,
    first: u32,
    /// Members that run, are being reported, or are not decided upon.
    busy: usize,
    /// Members without a result that somebody waits for.
    unresolved: usize,
}

#[derive(Debug)]
struct Member {
    claim: Claim,
    id: u32,
    progress: Progress,
    /// Whether the program has dropped its future.
    dropped: bool,
    /// Whether the engine has refused it.
    refused: bool,
}

/// How far a step is.
#[derive(Debug, PartialEq)]
pub(super) enum Progress {
    /// Nothing has been done about it in this invocation.
    Untouched,
    /// Its body runs.
    Running,
    /// The engine is told about it.
    Reporting,
    /// It is resolved later.
    Pending,
    /// It is recorded.
    Done(Step),
}

impl Progress {
    /// A recorded step is done, unless it is a sleep that is not over.
    pub(super) fn of(step: Step, now: impl Fn() -> i64) -> Self {
        if due(&step).is_some_and(|due| due > now()) { Self::Pending } else { Self::Done(step) }
    }
}

impl Member {
    fn is_busy(&self) -> bool {
        match self.progress {
            Progress::Reporting => true,
            Progress::Untouched | Progress::Running => !self.dropped,
            Progress::Pending | Progress::Done(_) => false,
        }
    }

    fn is_unresolved(&self) -> bool {
        !self.dropped && !matches!(self.progress, Progress::Done(_))
    }
}

impl Group {
    /// A group of claims with these ids, which are those from `first` on in some order.
    pub(super) fn new(claims: Vec<Claim>, ids: Vec<u32>, first: u32) -> Self {
        let member =
            |(claim, id)| Member { claim, id, progress: Progress::Untouched, dropped: false, refused: false };
        let members: Vec<_> = claims.into_iter().zip(ids).map(member).collect();
        let size = members.len();
        Self { members, first, busy: size, unresolved: size }
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The numbers of the members.
    pub(super) fn members(&self) -> Range<usize> {
        0..self.members.len()
    }

    /// The ids that the group takes.
    pub(super) fn ids(&self) -> Range<u32> {
        self.first..self.first.saturating_add(self.concurrent())
    }

    pub(super) fn member_of(&self, id: u32) -> Option<usize> {
        self.members.iter().position(|member| member.id == id)
    }

    pub(super) fn id(&self, member: usize) -> Option<u32> {
        self.members.get(member).map(|member| member.id)
    }

    pub(super) fn claim(&self, member: usize) -> Option<&Claim> {
        self.members.get(member).map(|member| &member.claim)
    }

    /// A member's step as it is recorded, without a result.
    pub(super) fn step(&self, member: usize) -> Option<Step> {
        let concurrent = self.concurrent();
        self.members.get(member).map(|member| member.claim.step(member.id, concurrent))
    }

    /// A member as it is told of.
    pub(super) fn produced(&self, member: usize) -> Option<ProducedStep> {
        let concurrent = self.concurrent();
        self.members.get(member).map(|member| member.claim.produced(member.id, concurrent))
    }

    /// All members as they are announced, in the order of their ids.
    pub(super) fn plans(&self) -> Vec<Step> {
        let concurrent = self.concurrent();
        let mut plans: Vec<_> =
            self.members.iter().map(|member| member.claim.plan(member.id, concurrent)).collect();
        plans.sort_by_key(Step::position);
        plans
    }

    /// The retries of a member, and whether its last failure is recorded as its result.
    pub(super) fn retries(&self, member: usize) -> (Option<u32>, bool) {
        match self.claim(member).map(|claim| &claim.work) {
            Some(Work::Run { max_retries, record_failure }) => (*max_retries, *record_failure),
            _ => (None, false),
        }
    }

    pub(super) fn is_running(&self, member: usize) -> bool {
        self.members.get(member).is_some_and(|member| member.progress == Progress::Running)
    }

    pub(super) fn set(&mut self, member: usize, progress: Progress) {
        self.change(member, |member| member.progress = progress);
    }

    /// Nobody waits for this member any more.
    pub(super) fn give_up(&mut self, member: usize) {
        self.change(member, |member| member.dropped = true);
    }

    /// The engine refuses this member. Says whether that is the first time.
    pub(super) fn refuse(&mut self, member: usize) -> bool {
        self.members.get_mut(member).is_some_and(|member| !std::mem::replace(&mut member.refused, true))
    }

    fn change(&mut self, member: usize, change: impl FnOnce(&mut Member)) {
        let Some(member) = self.members.get_mut(member) else { return };
        let before = (usize::from(member.is_busy()), usize::from(member.is_unresolved()));
        change(member);
        self.busy = self.busy + usize::from(member.is_busy()) - before.0;
        self.unresolved = self.unresolved + usize::from(member.is_unresolved()) - before.1;
    }

    /// Whether nothing is in flight: every member is done, given up, or waits for something outside.
    pub(super) fn is_settled(&self) -> bool {
        self.busy == 0
    }

    /// Whether every member is done or given up.
    pub(super) fn is_resolved(&self) -> bool {
        self.busy == 0 && self.unresolved == 0
    }

    /// The results, by the order of the claims; none for members that were given up before they had one. Beside them the
    /// member with the last position.
    pub(super) fn into_results(self) -> (Vec<Option<Step>>, Option<ProducedStep>) {
        let concurrent = self.concurrent();
        let last_id = self.first.saturating_add(concurrent).saturating_sub(1);
        let mut last = None;
        let result = |member: Member| {
            if member.id == last_id {
                last = Some(member.claim.into_produced(member.id, concurrent));
            }
            match member.progress {
                Progress::Done(step) => Some(step),
                _ => None,
            }
        };
        (self.members.into_iter().map(result).collect(), last)
    }

    fn concurrent(&self) -> u32 {
        u32::try_from(self.members.len()).unwrap_or(u32::MAX)
    }
}
