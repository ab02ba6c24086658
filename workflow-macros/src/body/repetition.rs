//! Finds two steps of one name that one run may come to, one after the other.
//!
//! Such a workflow runs: steps in sequence are told apart by their position, and a loop could not do without. But where the
//! same name is written twice, logs, failures and divergences do not say which of the two they mean.

use std::collections::HashMap;

use proc_macro2::{Delimiter, TokenTree};

use super::{
    Findings, Warning,
    calls::{inside, is_punct, is_word, split_at_commas},
    scan::not_ours,
    steps::{joins, literal, step},
};

/// Adds what is found in the body to the warnings.
pub fn examine(tokens: &[TokenTree], ctx: &str, findings: &mut Findings) {
    let mut search = Search { ctx, branches: 0, seen: HashMap::new(), findings };
    search.level(tokens, &mut Vec::new());
}

/// A piece of code that a run may pass by: a block, or an arm of a `match`. An argument of a `join!` counts as one, too: it is not
/// behind the others.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Branch {
    number: usize,
    /// Whether a run may not come to what stands behind it.
    leaves: bool,
}

struct Search<'a> {
    ctx: &'a str,
    /// How many there were so far.
    branches: usize,
    /// For each name, the branches in which the steps of that name are, from the outside.
    seen: HashMap<String, Vec<Vec<Branch>>>,
    findings: &'a mut Findings,
}

impl Search<'_> {
    /// Goes through the tokens between two delimiters, which are in `path`.
    fn level(&mut self, tokens: &[TokenTree], path: &mut Vec<Branch>) {
        let depth = path.len();
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            if let Some(behind) = not_ours(tokens, at, false) {
                at = behind;
                continue;
            }
            if joins(tokens, at)
                && is_punct(tokens, at + 1, '!')
                && let Some(TokenTree::Group(arguments)) = tokens.get(at + 2)
            {
                // Of those in one `join!` a mistake is told.
                for argument in split_at_commas(&inside(arguments)) {
                    path.push(self.branch(argument.to_vec()));
                    self.level(argument, path);
                    path.pop();
                }
                at += 3;
                continue;
            }
            if is_punct(tokens, at, '=') && is_punct(tokens, at + 1, '>') {
                path.truncate(depth);
                let arm = tokens.get(at + 2..).unwrap_or_default();
                path.push(self.branch(arm.iter().take_while(|token| !is_comma(token)).cloned().collect()));
            }
            if let Some(step) = step(tokens, at, self.ctx)
                && let Some(name) = literal(&step)
            {
                self.step(&name, path);
            }
            if let TokenTree::Group(group) = token {
                let inside = inside(group);
                if group.delimiter() == Delimiter::Brace {
                    path.push(self.branch(inside.clone()));
                    self.level(&inside, path);
                    path.pop();
                } else {
                    self.level(&inside, path);
                }
            }
            at += 1;
        }
        path.truncate(depth);
    }

    fn branch(&mut self, tokens: Vec<TokenTree>) -> Branch {
        self.branches += 1;
        Branch { number: self.branches, leaves: leaves(&tokens) }
    }

    fn step(&mut self, name: &syn::LitStr, path: &[Branch]) {
        let seen = self.seen.entry(name.value()).or_default();
        if seen.iter().any(|earlier| may_follow(earlier, path)) {
            self.findings.warnings.push(Warning {
                title: "REPEATED_STEP_NAME",
                text: format!(
                    "an earlier step of this workflow is named `{}`, too: side by side the two could not run, and one after the \
                     other logs and failures would not tell them apart; give this one another name (to have it so: `#[workflow(allow(repeated_step_name))]`)",
                    name.value()
                ),
                place: name.span(),
            });
        }
        seen.push(path.to_vec());
    }
}

/// Whether one run may come to both, by the branches that they are in. Of branches side by side nothing is said: they may be
/// those of an `if`.
fn may_follow(earlier: &[Branch], later: &[Branch]) -> bool {
    match earlier.get(later.len()..) {
        Some(own) => earlier.starts_with(later) && own.iter().all(|branch| !branch.leaves),
        None => later.starts_with(earlier),
    }
}

/// Words behind which a run does not go on.
const LEAVING: &[&str] = &["return", "break", "continue", "cancel", "bail", "panic", "unreachable"];

/// Whether there is something in the code that leaves it: one of these words, or `Err(..)?`.
fn leaves(tokens: &[TokenTree]) -> bool {
    tokens.iter().enumerate().any(|(at, token)| match token {
        TokenTree::Group(group) => leaves(&inside(group)),
        _ => {
            LEAVING.iter().any(|word| is_word(tokens, at, word))
                || (is_word(tokens, at, "Err") && is_punct(tokens, at + 2, '?'))
        }
    })
}

fn is_comma(token: &TokenTree) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',')
}
