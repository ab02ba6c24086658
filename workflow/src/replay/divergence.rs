//! Where the code and the history of a run part.

use std::{fmt, panic::Location};

use crate::protocol::{Step, StepType};

/// The code of a workflow asks for something else than a run has recorded: either the code has changed under a run that is
/// still on its way, or it does not do the same each time. Displayed, it is the whole story: both sides, and what to do.
///
/// Where a recorded step was called in the code of its time is not known: the history has no place for it, and the line would
/// be one of a program that is gone. [`last_match`](Self::last_match) says instead, in the code of today, where the two were
/// last together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub struct Divergence {
    /// In what they differ.
    pub kind: DivergenceKind,
    /// The position in the program at which they part, from 1; 0 for the payload.
    pub position: u32,
    /// What is recorded there or, where nothing is, the next thing that is. Nothing where the payload does not fit.
    pub recorded: Option<RecordedStep>,
    /// What the code asks for; of steps that run side by side, the one that does not fit. Nothing where the function has
    /// returned or never begun.
    pub produced: Option<ProducedStep>,
    /// The last step before in which they agree.
    pub last_match: Option<ProducedStep>,
}

/// In what code and history differ.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DivergenceKind {
    /// The name or the type of a step.
    Step,
    /// How many steps run side by side.
    GroupSize,
    /// The code asks for a step that is not recorded, although a later one is.
    NotRecorded,
    /// The function has returned, although more is recorded.
    Returned {
        /// The message of the error that it returned, if it did, or of its panic.
        error: Option<String>,
    },
    /// The code cancels the run, although more is recorded.
    Canceled,
    /// The type of a step's result.
    Result {
        /// The type that the code wants.
        wanted: &'static str,
        /// Why the recorded result is none.
        reason: String,
    },
    /// The type of the payload.
    Payload {
        /// Which type the code wants, and why the payload is none.
        reason: String,
    },
}

/// A step of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedStep {
    /// Its position in the program, from 1.
    pub position: u32,
    /// Its name.
    pub name: String,
    /// Its type.
    pub step_type: StepType,
    /// How many steps ran side by side, this one included; 1 when it was alone.
    pub concurrent: u32,
}

/// A step that the code asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProducedStep {
    /// Its position in the program, from 1.
    pub position: u32,
    /// Its name.
    pub name: String,
    /// Its type.
    pub step_type: StepType,
    /// How many steps run side by side, this one included; 1 when it is alone.
    pub concurrent: u32,
    /// Where in the source it is called.
    pub location: &'static Location<'static>,
}

impl From<&Step> for RecordedStep {
    fn from(step: &Step) -> Self {
        Self {
            position: step.position(),
            name: step.step_name.clone(),
            step_type: step.step_type,
            concurrent: step.concurrent,
        }
    }
}

impl fmt::Display for RecordedStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {} `{}` ({:?})", self.position, self.name, self.step_type)
    }
}

impl fmt::Display for ProducedStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {} `{}` ({:?}) at {}", self.position, self.name, self.step_type, self.location)
    }
}

impl Divergence {
    pub(crate) fn new(
        kind: DivergenceKind,
        position: u32,
        recorded: Option<RecordedStep>,
        produced: Option<ProducedStep>,
    ) -> Self {
        Self { kind, position, recorded, produced, last_match: None }
    }

    /// The function has returned before this step of the history.
    pub(crate) fn returned(step: &Step, error: Option<String>) -> Self {
        Self::new(DivergenceKind::Returned { error }, step.position(), Some(step.into()), None)
    }

    /// The code cancels the run before this step of the history.
    pub(crate) fn canceled(step: &Step) -> Self {
        Self::new(DivergenceKind::Canceled, step.position(), Some(step.into()), None)
    }

    /// The payload of a run that has a history does not fit.
    pub(crate) fn payload(reason: String) -> Self {
        Self::new(DivergenceKind::Payload { reason }, 0, None, None)
    }

    /// Says where code and history were last together, if that is before this.
    pub(crate) fn after(mut self, last: Option<ProducedStep>) -> Self {
        self.last_match = last.filter(|last| last.position < self.position);
        self
    }
}

const ADVICE: &str = "Steps that a run has passed must stay as they were: roll the change back, or give the changed workflow a \
                      route of its own while old runs end. If the code has not changed, something between its steps is not the \
                      same each time (a clock, a random number, the order of a hash map): move it into a step";

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let recorded = shown(self.recorded.as_ref(), "nothing");
        let produced = shown(self.produced.as_ref(), "nothing");
        write!(f, "the code does not match the run's history: ")?;
        match &self.kind {
            DivergenceKind::Step => write!(f, "recorded is {recorded}, but the code asks for {produced}")?,
            DivergenceKind::GroupSize => write!(
                f,
                "recorded is {recorded} as one of {} side by side, but the code asks for {} there, with {produced}",
                self.recorded.as_ref().map_or(0, |step| step.concurrent),
                self.produced.as_ref().map_or(0, |step| step.concurrent),
            )?,
            DivergenceKind::NotRecorded => write!(
                f,
                "the code asks for {produced}, which is not recorded, but the later {recorded} is. Either the code has changed, \
                 or the step was given up while it ran (by `select!` or a timeout around it), which a replay cannot repeat"
            )?,
            DivergenceKind::Returned { error: None } => {
                write!(f, "recorded is {recorded}, but the function has returned before it")?;
            }
            DivergenceKind::Returned { error: Some(error) } => {
                write!(f, "recorded is {recorded}, but the function has failed before it ({error})")?;
            }
            DivergenceKind::Canceled => {
                write!(f, "recorded is {recorded}, but the code cancels the run before it")?;
            }
            DivergenceKind::Result { wanted, reason } => write!(
                f,
                "recorded is {recorded} with a result that does not fit `{wanted}`, which the code wants of {produced}: {reason}"
            )?,
            DivergenceKind::Payload { reason } => {
                write!(f, "the payload that the run has begun with {reason}")?
            }
        }
        if let Some(last) = &self.last_match {
            write!(f, ". They agree up to {last}")?;
        }
        write!(f, ". {ADVICE}")
    }
}

fn shown(step: Option<&impl fmt::Display>, nothing: &str) -> String {
    step.map_or_else(|| nothing.to_owned(), ToString::to_string)
}
