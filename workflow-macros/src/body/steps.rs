//! Mistakes with steps that can be seen in the text: a step inside of a step, two steps of one name in one `join!`, and a
//! step that is thrown away.

use std::collections::HashSet;

use proc_macro2::TokenTree;
use syn::{Error, LitStr};

use super::{
    Findings, Warning,
    calls::{
        MethodCall, follows_dot, inside, is_path_separator, is_punct, is_word, method_call, split_at_commas,
    },
    closures::{async_closure, closure, end_of_expression},
};

/// Methods that take the body of a step.
pub const RUNS: &[&str] = &["run", "try_run"];

/// Methods of the context that make a step.
const STEPS: &[&str] = &[
    "run",
    "try_run",
    "step",
    "sleep",
    "sleep_until",
    "wait_for_event",
    "notify",
    "notify_event",
    "call",
    "invoke",
    "invoke_url",
    "create_webhook",
    "wait_for_webhook",
];

/// The crates whose `join!` polls its futures side by side.
const JOINING: &[&str] = &["tokio", "futures", "futures_util", "futures_lite", "future"];

/// Adds what is found in the body.
pub fn examine(tokens: &[TokenTree], ctx: &str, findings: &mut Findings) {
    for (at, token) in tokens.iter().enumerate() {
        if let Some(step) = step(tokens, at, ctx) {
            bodies(tokens, &step, ctx, findings);
        }
        if is_word(tokens, at, "let")
            && is_word(tokens, at + 1, "_")
            && is_punct(tokens, at + 2, '=')
            && let Some(step) = step(tokens, at + 3, ctx)
        {
            thrown_away(tokens, at, &step, findings);
        }
        if joins(tokens, at)
            && is_punct(tokens, at + 1, '!')
            && let Some(TokenTree::Group(arguments)) = tokens.get(at + 2)
        {
            names(&inside(arguments), ctx, findings);
        }
        if let TokenTree::Group(group) = token {
            examine(&inside(group), ctx, findings);
        }
    }
}

/// Whether a pattern may bind the name to something else: `let ctx`, `|ctx|`.
pub fn rebinds(tokens: &[TokenTree], ctx: &str) -> bool {
    tokens.iter().enumerate().any(|(at, token)| match token {
        TokenTree::Group(group) => rebinds(&inside(group), ctx),
        TokenTree::Ident(name) if name == ctx => {
            let before = at.checked_sub(1);
            let bound = before.is_some_and(|before| {
                ["let", "mut", "ref", "for"].iter().any(|word| is_word(tokens, before, word))
            });
            // At the end of a closure's parameters; before `.` the `|` is one of `async || ctx.run(..)`.
            bound || is_punct(tokens, at + 1, '|')
        }
        _ => false,
    })
}

/// Whether a macro is named at a place that polls its arguments side by side.
pub fn joins(tokens: &[TokenTree], at: usize) -> bool {
    let named = is_word(tokens, at, "join") || is_word(tokens, at, "try_join");
    let Some(separator) = at.checked_sub(2).filter(|before| is_path_separator(tokens, *before)) else {
        return named;
    };
    named
        && separator
            .checked_sub(1)
            .is_some_and(|krate| JOINING.iter().any(|known| is_word(tokens, krate, known)))
}

/// The step that the context is asked for at a place.
pub fn step<'a>(tokens: &'a [TokenTree], at: usize, ctx: &str) -> Option<MethodCall<'a>> {
    if !is_word(tokens, at, ctx) || follows_dot(tokens, at) {
        return None;
    }
    method_call(tokens, at + 1).filter(|call| STEPS.iter().any(|step| call.name == step))
}

/// The name of a step, if it is a literal.
pub fn literal(step: &MethodCall<'_>) -> Option<LitStr> {
    let first = step.arguments.stream().into_iter().next()?;
    syn::parse2(first.into()).ok()
}

/// Looks for steps in the bodies of a step.
fn bodies(tokens: &[TokenTree], step: &MethodCall<'_>, ctx: &str, findings: &mut Findings) {
    let mut end = step.end;
    let mut runs: Vec<Vec<TokenTree>> = Vec::new();
    if RUNS.iter().any(|run| step.name == run) {
        runs.push(inside(step.arguments));
    } else if step.name == "step" {
        while let Some(call) = method_call(tokens, end) {
            if RUNS.iter().any(|run| call.name == run) {
                runs.push(inside(call.arguments));
            }
            end = call.end;
        }
    }
    let outer =
        literal(step).map_or_else(|| "the outer one".to_owned(), |name| format!("`{}`", name.value()));
    for arguments in &runs {
        for argument in split_at_commas(arguments) {
            let body = async_closure(argument, 0).or_else(|| closure(argument, 0));
            if let Some(body) = body.and_then(|body| argument.get(body..end_of_expression(argument, body))) {
                inner(body, ctx, &outer, findings);
            }
        }
    }
}

/// Looks for the first step in the body of another one.
fn inner(body: &[TokenTree], ctx: &str, outer: &str, findings: &mut Findings) -> bool {
    for at in 0..body.len() {
        if let Some(step) = step(body, at, ctx) {
            findings.mistakes.push(Error::new(
                step.name.span(),
                format!(
                    "a step cannot run inside of another step, {outer}: await it before or after that one, and pass its result on"
                ),
            ));
            return true;
        }
        if let Some(TokenTree::Group(group)) = body.get(at)
            && inner(&inside(group), ctx, outer, findings)
        {
            return true;
        }
    }
    false
}

/// Warns of `let _ = ctx.run(..);`, of which the compiler says nothing.
fn thrown_away(tokens: &[TokenTree], at: usize, step: &MethodCall<'_>, findings: &mut Findings) {
    let end = end_of_expression(tokens, at);
    if (step.end..end).any(|here| is_word(tokens, here, "await")) {
        return;
    }
    findings.warnings.push(Warning {
        title: "STEP_NOT_AWAITED",
        text: format!(
            "this step never runs: a step does nothing until it is awaited; write `.{}(..).await?`",
            step.name
        ),
        place: step.name.span(),
    });
}

/// Tells of steps in one `join!` that have one name.
fn names(arguments: &[TokenTree], ctx: &str, findings: &mut Findings) {
    let mut seen = HashSet::new();
    for argument in split_at_commas(arguments) {
        let Some(name) = step(argument, 0, ctx).and_then(|step| literal(&step)) else { continue };
        if !seen.insert(name.value()) {
            findings.mistakes.push(Error::new(
                name.span(),
                format!(
                    "another step of this group is named `{}`, too: steps that run side by side are told apart by their names, so \
                     give this one another name",
                    name.value()
                ),
            ));
        }
    }
}
