//! Why an invocation cannot go on: the program and its history do not fit each other, or the program breaks a rule.

use std::panic::Location;

use super::{Divergence, DivergenceKind, ProducedStep};
use crate::protocol::Step;

/// Why an invocation cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The program does not fit its history.
    #[error(transparent)]
    Diverged(Box<Divergence>),
    /// The program cancels its run.
    #[error("the workflow cancels its run")]
    Canceled,
    /// Two steps of a group have one name.
    #[error(
        "two steps that run side by side are both named `{name}`, at {first} and at {second}; steps that run at the same \
         time are told apart by their names, so give each its own"
    )]
    SameName { name: String, first: &'static Location<'static>, second: &'static Location<'static> },
    /// A step has no name.
    #[error(
        "the step at {location} has an empty name; give it one, it is how the step is recognised on replay"
    )]
    NoName { location: &'static Location<'static> },
    /// A step inside another one.
    #[error(
        "a step cannot run inside another step: `{inner}` (at {location}) was called inside a step's body; call it from the \
         workflow function, before or after that step"
    )]
    Nested {
        inner: String,
        location: &'static Location<'static>,
        /// The outer step, as a member of its group.
        outer: usize,
    },
}

impl Fault {
    /// A recorded result that does not fit the type `T`.
    pub(crate) fn unfit<T>(step: &Step, location: &'static Location<'static>, reason: String) -> Self {
        let produced = ProducedStep {
            position: step.position(),
            name: step.step_name.clone(),
            step_type: step.step_type,
            concurrent: step.concurrent,
            location,
        };
        let kind = DivergenceKind::Result { wanted: std::any::type_name::<T>(), reason };
        Divergence::new(kind, step.position(), Some(step.into()), Some(produced)).into()
    }
}

impl From<Divergence> for Fault {
    fn from(divergence: Divergence) -> Self {
        Self::Diverged(Box::new(divergence))
    }
}
