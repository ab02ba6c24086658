//! Small readings of token lists.

use proc_macro2::{Delimiter, Group, Ident, Spacing, TokenTree};

/// The token at a place, if it is this character.
pub fn is_punct(tokens: &[TokenTree], at: usize, wanted: char) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == wanted)
}

/// The token at a place, if it is an identifier.
pub fn ident(tokens: &[TokenTree], at: usize) -> Option<&Ident> {
    match tokens.get(at) {
        Some(TokenTree::Ident(ident)) => Some(ident),
        _ => None,
    }
}

/// Whether there is this word at a place.
pub fn is_word(tokens: &[TokenTree], at: usize, word: &str) -> bool {
    ident(tokens, at).is_some_and(|ident| ident == word)
}

/// The group at a place, if it has this delimiter.
pub fn group(tokens: &[TokenTree], at: usize, delimiter: Delimiter) -> Option<&Group> {
    match tokens.get(at) {
        Some(TokenTree::Group(group)) if group.delimiter() == delimiter => Some(group),
        _ => None,
    }
}

/// What stands in a group.
pub fn inside(group: &Group) -> Vec<TokenTree> {
    group.stream().into_iter().collect()
}

/// Whether there is a `::` at a place.
pub fn is_path_separator(tokens: &[TokenTree], at: usize) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Punct(first)) if first.as_char() == ':' && first.spacing() == Spacing::Joint)
        && is_punct(tokens, at + 1, ':')
}

/// Behind the `<..>` that begins at a place; that place if none does.
pub fn behind_angles(tokens: &[TokenTree], at: usize) -> usize {
    if !is_punct(tokens, at, '<') {
        return at;
    }
    let mut depth = 0_usize;
    let mut here = at;
    while here < tokens.len() {
        if is_punct(tokens, here, '<') {
            depth += 1;
        } else if is_punct(tokens, here, '>') && !(here > 0 && is_punct(tokens, here - 1, '-')) {
            depth -= 1;
            if depth == 0 {
                return here + 1;
            }
        }
        here += 1;
    }
    tokens.len()
}

/// Whether the token before a place is a `.` of a field or method, and not the end of a range.
pub fn follows_dot(tokens: &[TokenTree], at: usize) -> bool {
    at >= 1 && is_punct(tokens, at - 1, '.') && !(at >= 2 && is_punct(tokens, at - 2, '.'))
}

/// A method call: its name, its arguments, and where it ends.
pub struct MethodCall<'a> {
    pub name: &'a Ident,
    pub arguments: &'a Group,
    pub end: usize,
}

/// The method call whose `.` is at a place.
pub fn method_call(tokens: &[TokenTree], at: usize) -> Option<MethodCall<'_>> {
    if !is_punct(tokens, at, '.') || follows_dot(tokens, at) {
        return None;
    }
    let name = ident(tokens, at + 1)?;
    let mut here = at + 2;
    if is_path_separator(tokens, here) {
        here = behind_angles(tokens, here + 2);
    }
    let arguments = group(tokens, here, Delimiter::Parenthesis)?;
    Some(MethodCall { name, arguments, end: here + 1 })
}

/// Parts the tokens at commas that are not inside of a turbofish.
pub fn split_at_commas(tokens: &[TokenTree]) -> Vec<&[TokenTree]> {
    let mut parts = Vec::new();
    let mut rest = tokens;
    let mut at = 0;
    while at < rest.len() {
        if is_path_separator(rest, at) {
            at = behind_angles(rest, at + 2);
        } else if is_punct(rest, at, ',') {
            let (part, behind) = rest.split_at(at);
            parts.push(part);
            rest = behind.get(1..).unwrap_or_default();
            at = 0;
        } else {
            at += 1;
        }
    }
    if !rest.is_empty() {
        parts.push(rest);
    }
    parts
}
