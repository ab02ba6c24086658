//! The history of a run, by the positions of its steps.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    ops::Range,
};

use crate::protocol::Step;

/// What is recorded of a run and not replayed yet.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    results: BTreeMap<u32, Step>,
    /// Announced steps of parallel groups, by the position that they will have.
    plans: BTreeMap<u32, Step>,
    /// The position that the last entry of the history announces, if it is a plan.
    delivered_plan: Option<u32>,
    /// Whether the last entry of the history repeats an earlier one.
    repeats: bool,
    next_free: u32,
}

impl Recorded {
    /// Sorts a history. Of entries for the same thing the first one counts.
    pub(super) fn new(history: Vec<Step>) -> Self {
        let mut recorded = Self { next_free: 1, ..Self::default() };
        for step in history {
            let position = step.position();
            recorded.next_free = recorded.next_free.max(position.saturating_add(1));
            recorded.delivered_plan = step.target_step.filter(|_| step.step_id == 0);
            let entries = if step.step_id == 0 { &mut recorded.plans } else { &mut recorded.results };
            recorded.repeats = match entries.entry(position) {
                Entry::Vacant(place) => {
                    place.insert(step);
                    false
                }
                Entry::Occupied(_) => true,
            };
        }
        recorded.plans.remove(&0);
        recorded
    }

    /// Whether the history ends with a repetition of an earlier entry.
    pub(super) fn ends_with_repetition(&self) -> bool {
        self.repeats
    }

    /// The position that is announced by the entry that is being delivered.
    pub(super) fn delivered_plan(&self) -> Option<u32> {
        self.delivered_plan
    }

    /// The position after the highest one that was ever recorded.
    pub(super) fn next_free(&self) -> u32 {
        self.next_free
    }

    /// Remembers that a position was recorded just now.
    pub(super) fn note(&mut self, position: u32) {
        self.next_free = self.next_free.max(position.saturating_add(1));
    }

    /// The entry with the lowest position.
    pub(super) fn first(&self) -> Option<&Step> {
        let result = self.results.first_key_value();
        let plan = self.plans.first_key_value();
        [result, plan].into_iter().flatten().min_by_key(|(position, _)| **position).map(|(_, step)| step)
    }

    /// The entry with the lowest position from `position` on.
    pub(super) fn first_from(&self, position: u32) -> Option<&Step> {
        let result = self.results.range(position..).next();
        let plan = self.plans.range(position..).next();
        [result, plan].into_iter().flatten().min_by_key(|(position, _)| **position).map(|(_, step)| step)
    }

    /// The entries of a group: each position's result or else its plan.
    pub(super) fn group(&self, ids: Range<u32>) -> impl Iterator<Item = (u32, &Step)> {
        let results = self.results.range(ids.clone());
        let plans = self.plans.range(ids).filter(|(id, _)| !self.results.contains_key(id));
        results.chain(plans).map(|(id, step)| (*id, step))
    }

    /// Takes a position's result out, and forgets its plan.
    pub(super) fn take(&mut self, position: u32) -> Option<Step> {
        self.plans.remove(&position);
        self.results.remove(&position)
    }
}
