//! Looks at the body of a workflow for what compiles and is wrong all the same.
//!
//! The body is scanned as tokens and never parsed: it may be half typed, and it is passed on as it was written. What is
//! found is either a *mistake*, an error that would otherwise wait for the first run, or a *warning*. Tokens have no types,
//! so a scan goes by names, and says nothing where a name could mean something else.

mod calls;
mod closures;
mod names;
mod nondeterminism;
mod repetition;
mod scan;
mod steps;
#[cfg(test)]
mod tests;
mod warning;

use proc_macro2::TokenStream;

pub use self::warning::Warning;

/// What is wrong with a body.
#[derive(Default)]
pub struct Findings {
    /// What differs from replay to replay, steps that never run, and names that are there twice.
    pub warnings: Vec<Warning>,
    /// What would fail in every run.
    pub mistakes: Vec<syn::Error>,
}

/// What may be looked for, unless `#[workflow(allow(..))]` says that it is meant.
#[derive(Clone, Copy)]
pub struct Lints {
    /// What differs from replay to replay.
    pub nondeterminism: bool,
    /// Two steps of one name.
    pub repeated_step_name: bool,
}

impl Default for Lints {
    fn default() -> Self {
        Self { nondeterminism: true, repeated_step_name: true }
    }
}

/// Scans the body of a workflow, whose context goes by the name `ctx`.
pub fn examine(body: TokenStream, ctx: &str, lints: Lints) -> Findings {
    let tokens: Vec<_> = body.into_iter().collect();
    let mut findings = Findings::default();
    // Where the name of the context may mean something else, nothing is said of steps.
    if !steps::rebinds(&tokens, ctx) {
        steps::examine(&tokens, ctx, &mut findings);
        if lints.repeated_step_name {
            repetition::examine(&tokens, ctx, &mut findings);
        }
    }
    if lints.nondeterminism {
        scan::examine(&tokens, ctx, &mut findings);
    }
    findings
}
