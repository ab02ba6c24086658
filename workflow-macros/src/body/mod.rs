//! Looks at the body of a workflow for what compiles and is wrong all the same.
//!
//! The body is scanned as tokens and never parsed: it may be half typed, and it is passed on as it was written. What is
//! found is either a *mistake*, an error that would otherwise wait for the first run, or a *warning*. Tokens have no types,
//! so a scan goes by names, and says nothing where a name could mean something else.

mod calls;
mod closures;
mod names;
mod nondeterminism;
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
    /// What differs from replay to replay, and steps that never run.
    pub warnings: Vec<Warning>,
    /// What would fail in every run.
    pub mistakes: Vec<syn::Error>,
}

/// Scans the body of a workflow, whose context goes by the name `ctx`. `nondeterminism` says whether to look for it.
pub fn examine(body: TokenStream, ctx: &str, nondeterminism: bool) -> Findings {
    let tokens: Vec<_> = body.into_iter().collect();
    let mut findings = Findings::default();
    steps::examine(&tokens, ctx, &mut findings);
    if nondeterminism {
        scan::examine(&tokens, ctx, &mut findings);
    }
    findings
}
