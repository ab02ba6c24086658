//! What an app wants to know of its runs while they go on.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use crate::{
    engine::{Failure, RunInfo},
    replay::ProducedStep,
};

/// Is told how runs go on, for metrics or logs of the app's own. Every method does nothing unless it is implemented.
///
/// ```
/// use workflow::{EngineHandle, Hooks, engine::RunInfo, testing::ProducedStep};
///
/// struct Log;
///
/// impl Hooks for Log {
///     fn after_step(&self, run: &RunInfo, step: &ProducedStep, _out: Option<&str>) {
///         println!("{}: {} is done", run.id, step.name);
///     }
/// }
///
/// # fn f(engine: EngineHandle) {
/// let engine = engine.hooks(Log);
/// # }
/// ```
///
/// They are told what this process does, when it does it: of a step that is recorded already they hear nothing. Like steps,
/// they may hear the same twice when a process dies in between. They run inside of the handler, so they must not block; a
/// panic of one is logged and changes nothing.
pub trait Hooks: Send + Sync + 'static {
    /// The workflow is called for a run that has recorded nothing yet: the first time, and when the code before its first step
    /// is tried again.
    fn run_started(&self, run: &RunInfo) {
        let _ = run;
    }

    /// A step begins; `attempt` counts from 1. Of steps that wait this is all that is told.
    fn before_step(&self, run: &RunInfo, step: &ProducedStep, attempt: u32) {
        let _ = (run, step, attempt);
    }

    /// The engine has recorded a step with this result (a JSON text; nothing for none).
    fn after_step(&self, run: &RunInfo, step: &ProducedStep, out: Option<&str>) {
        let _ = (run, step, out);
    }

    /// An attempt has failed: of the step of that name, or of the code between steps.
    fn attempt_failed(&self, run: &RunInfo, failure: &Failure) {
        let _ = (run, failure);
    }

    /// The workflow has returned this (a JSON text; nothing for `()`), and the engine has recorded it.
    fn run_completed(&self, run: &RunInfo, output: Option<&str>) {
        let _ = (run, output);
    }
}

/// The hooks of an app, if it has any, and the run that they are told of.
pub(crate) struct Observed {
    hooks: Option<Arc<dyn Hooks>>,
    run: RunInfo,
}

impl Observed {
    pub(crate) fn new(hooks: Option<Arc<dyn Hooks>>, run: &RunInfo) -> Self {
        // Nobody looks at the run where nobody is told.
        let run = if hooks.is_some() { run.clone() } else { RunInfo::default() };
        Self { hooks, run }
    }

    /// Whether anybody is told.
    pub(crate) fn is_observed(&self) -> bool {
        self.hooks.is_some()
    }

    pub(crate) fn tell(&self, tell: impl FnOnce(&dyn Hooks, &RunInfo)) {
        let Some(hooks) = &self.hooks else { return };
        if catch_unwind(AssertUnwindSafe(|| tell(&**hooks, &self.run))).is_err() {
            tracing::error!("a hook of the app has panicked");
        }
    }
}
