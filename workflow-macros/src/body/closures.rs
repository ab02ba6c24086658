//! Closures: where they begin and end.

use proc_macro2::TokenTree;

use super::calls::{behind_angles, is_path_separator, is_punct, is_word};

/// Where the body begins of the `async |..|` closure that begins at a place, if one does.
pub fn async_closure(tokens: &[TokenTree], at: usize) -> Option<usize> {
    if is_word(tokens, at, "async") { closure(tokens, at + 1) } else { None }
}

/// Where the body begins of the closure that begins at a place, if one does: `|..|` or `move |..|`. At other places than the
/// beginning of an expression, `|` is an operator.
pub fn closure(tokens: &[TokenTree], at: usize) -> Option<usize> {
    let bar = if is_word(tokens, at, "move") { at + 1 } else { at };
    if !is_punct(tokens, bar, '|') {
        return None;
    }
    (bar + 1..tokens.len()).find(|here| is_punct(tokens, *here, '|')).map(|end| end + 1)
}

/// Where the expression ends that begins at a place: at the next `,` or `;`, or with the list.
pub fn end_of_expression(tokens: &[TokenTree], at: usize) -> usize {
    let mut here = at;
    while here < tokens.len() {
        if is_path_separator(tokens, here) {
            here = behind_angles(tokens, here + 2);
        } else if is_punct(tokens, here, ',') || is_punct(tokens, here, ';') {
            return here;
        } else {
            here += 1;
        }
    }
    tokens.len()
}
