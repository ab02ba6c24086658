//! Why an invocation cannot go on: the program and its history do not fit each other, or the program breaks a rule.

use std::panic::Location;

use crate::{
    Error,
    protocol::{Step, StepType},
};

/// Why an invocation cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// Another step is recorded at this position.
    #[error(
        "the code does not match the run's history: step {id} is recorded as `{recorded_name}` ({recorded_type:?}), but the \
         code asks for `{name}` ({step_type:?}) at {location}. {ADVICE}"
    )]
    OtherStep {
        id: u32,
        recorded_name: String,
        recorded_type: StepType,
        name: String,
        step_type: StepType,
        location: &'static Location<'static>,
    },
    /// A parallel group of another size is recorded.
    #[error(
        "the code does not match the run's history: step {id} `{recorded_name}` is recorded as one of {recorded} that run \
         side by side, but the code asks for {produced} there, beginning with `{name}` at {location}. {ADVICE}"
    )]
    OtherSize {
        id: u32,
        recorded_name: String,
        recorded: u32,
        produced: u32,
        name: String,
        location: &'static Location<'static>,
    },
    /// Something later is recorded, but this is not.
    #[error(
        "the code does not match the run's history: it asks for step {id} `{name}` at {location}, which is not recorded, but \
         the later step {later_id} `{later_name}` is. Either the code has changed, or the step was given up while it ran \
         (by `select!` or a timeout around it), which a replay cannot repeat. {ADVICE}"
    )]
    Gap { id: u32, name: String, location: &'static Location<'static>, later_id: u32, later_name: String },
    /// The function has returned, but more is recorded.
    #[error(
        "the code does not match the run's history: the function returned, but step {id} `{recorded_name}` \
         ({recorded_type:?}) is recorded. {ADVICE}"
    )]
    EndedEarly { id: u32, recorded_name: String, recorded_type: StepType },
    /// A recorded result is not of the type that the code wants.
    #[error(
        "the code does not match the run's history: the recorded result of step {id} `{name}` does not fit `{wanted}`, \
         which the code wants at {location}: {reason}. {ADVICE}"
    )]
    Unfit {
        id: u32,
        name: String,
        wanted: &'static str,
        location: &'static Location<'static>,
        reason: String,
    },
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

const ADVICE: &str = "Steps before the point that a run has reached must stay as they were: roll the change back, or \
                      give the changed workflow a route of its own while old runs end";

impl Fault {
    /// A recorded result that does not fit the type `T`.
    pub(crate) fn unfit<T>(step: &Step, location: &'static Location<'static>, reason: String) -> Self {
        Self::Unfit {
            id: step.step_id,
            name: step.step_name.clone(),
            wanted: std::any::type_name::<T>(),
            location,
            reason,
        }
    }

    /// The fault as an error. A mismatch is retried, because a roll back heals it; a broken rule is not.
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::OtherStep { .. }
            | Self::OtherSize { .. }
            | Self::Gap { .. }
            | Self::EndedEarly { .. }
            | Self::Unfit { .. } => Error::msg(self.to_string()),
            Self::SameName { .. } | Self::NoName { .. } | Self::Nested { .. } => {
                Error::non_retryable(self.to_string())
            }
        }
    }
}
