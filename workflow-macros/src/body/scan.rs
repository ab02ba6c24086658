//! Finds calls outside of steps that give something else on every replay.

use proc_macro2::{Delimiter, Span, TokenTree};

use super::{
    Findings, Warning,
    calls::{follows_dot, group, inside, is_punct, is_word, method_call},
    closures::{async_closure, closure, end_of_expression},
    names::{Names, path},
    nondeterminism::{HTTP_METHODS, Kind, kind_of, kind_of_method},
    steps::RUNS,
};

const TITLE: &str = "NONDETERMINISM";

/// Adds what is found in the body to the warnings.
pub fn examine(tokens: &[TokenTree], ctx: &str, findings: &mut Findings) {
    let mut scan = Scan { ctx, names: Names::of(tokens), findings };
    scan.level(tokens, false);
}

struct Scan<'a> {
    ctx: &'a str,
    names: Names,
    findings: &'a mut Findings,
}

impl Scan<'_> {
    /// Goes through the tokens between two delimiters. As arguments of a step, closures are its body even without `async`.
    fn level(&mut self, tokens: &[TokenTree], of_step: bool) {
        let mut at = 0;
        // Whether a chain of methods began an HTTP request.
        let mut requests = false;
        while at < tokens.len() {
            if let Some(behind) = not_ours(tokens, at, of_step) {
                at = behind;
            } else if let Some(call) = method_call(tokens, at) {
                let arguments = inside(call.arguments);
                let awaited = is_punct(tokens, call.end, '.') && is_word(tokens, call.end + 1, "await");
                if call.name == "send" && arguments.is_empty() && requests && awaited {
                    self.warn(Kind::Http, ".send", call.name.span());
                }
                if let Some(kind) = kind_of_method(call.name, is_client(tokens, at))
                    && !(at >= 1 && is_word(tokens, at - 1, self.ctx))
                {
                    self.warn(kind, &format!(".{}", call.name), call.name.span());
                }
                requests |= !arguments.is_empty() && HTTP_METHODS.iter().any(|method| call.name == method);
                self.level(&arguments, RUNS.iter().any(|run| call.name == run));
                at = call.end;
            } else if let Some((segments, last, behind)) = path(tokens, at).filter(|_| is_free(tokens, at)) {
                let is_macro = is_punct(tokens, behind, '!') && !is_punct(tokens, behind + 1, '=');
                self.path(
                    &segments,
                    is_macro,
                    tokens.get(last).map_or_else(Span::call_site, TokenTree::span),
                );
                at = behind;
            } else {
                match tokens.get(at) {
                    Some(TokenTree::Group(group)) => self.level(&inside(group), false),
                    Some(TokenTree::Punct(punct)) if matches!(punct.as_char(), ';' | ',' | '=') => {
                        requests = false
                    }
                    _ => {}
                }
                at += 1;
            }
        }
    }

    fn path(&mut self, segments: &[String], is_macro: bool, place: Span) {
        let Some(full) = self.names.resolve(segments, is_macro) else { return };
        if let Some(kind) = kind_of(&full, is_macro) {
            let mut call = segments.join("::");
            if is_macro {
                call.push('!');
            }
            self.warn(kind, &call, place);
        }
    }

    fn warn(&mut self, kind: Kind, call: &str, place: Span) {
        self.findings.warnings.push(Warning { title: TITLE, text: kind.advice(call, self.ctx), place });
    }
}

/// Whether what ends before a place is named `client`, or a call of that name.
fn is_client(tokens: &[TokenTree], at: usize) -> bool {
    let called = at >= 1 && group(tokens, at - 1, Delimiter::Parenthesis).is_some();
    let name = if called { at.checked_sub(2) } else { at.checked_sub(1) };
    name.is_some_and(|name| is_word(tokens, name, "client"))
}

/// Whether what begins at a place is not the tail of something else: a field, or a lifetime.
fn is_free(tokens: &[TokenTree], at: usize) -> bool {
    let in_lifetime = at >= 1 && is_punct(tokens, at - 1, '\'');
    !in_lifetime && !follows_dot(tokens, at)
}

/// Where something ends that is no code of the workflow itself: bodies of steps, items, attributes.
pub fn not_ours(tokens: &[TokenTree], at: usize, of_step: bool) -> Option<usize> {
    if let Some(body) = async_closure(tokens, at) {
        return Some(end_of_expression(tokens, body));
    }
    let begins_argument = at == 0 || is_punct(tokens, at - 1, ',');
    if of_step
        && begins_argument
        && let Some(body) = closure(tokens, at)
    {
        return Some(end_of_expression(tokens, body));
    }
    if is_punct(tokens, at, '#') {
        let bracket = if is_punct(tokens, at + 1, '!') { at + 2 } else { at + 1 };
        return matches!(tokens.get(bracket), Some(TokenTree::Group(_))).then_some(bracket + 1);
    }
    let names_item = ["fn", "mod", "trait", "macro_rules"].iter().any(|word| is_word(tokens, at, word))
        && (matches!(tokens.get(at + 1), Some(TokenTree::Ident(_))) || is_punct(tokens, at + 1, '!'));
    let is_import = is_word(tokens, at, "use");
    (names_item || is_import).then(|| end_of_item(tokens, at, !is_import))
}

/// Behind the braces of an item, or behind its semicolon.
fn end_of_item(tokens: &[TokenTree], at: usize, braces: bool) -> usize {
    let ends = |token: &TokenTree| match token {
        TokenTree::Group(group) => braces && group.delimiter() == proc_macro2::Delimiter::Brace,
        TokenTree::Punct(punct) => punct.as_char() == ';',
        _ => false,
    };
    tokens.iter().skip(at).position(ends).map_or(tokens.len(), |length| at + length + 1)
}
