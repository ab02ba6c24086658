//! What names mean, as far as the body itself says.

use std::collections::{HashMap, HashSet};

use proc_macro2::{Delimiter, TokenTree};

use super::calls::{ident, inside, is_path_separator, is_punct, is_word, split_at_commas};

/// The imports and items of a body.
#[derive(Default)]
pub struct Names {
    imports: HashMap<String, Vec<String>>,
    items: HashSet<String>,
}

impl Names {
    /// Collects them, from blocks inside of blocks too: a body is short, and its names do not change their meaning midway.
    pub fn of(tokens: &[TokenTree]) -> Self {
        let mut names = Self::default();
        names.collect(tokens);
        names
    }

    fn collect(&mut self, tokens: &[TokenTree]) {
        for (at, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Group(group) => self.collect(&inside(group)),
                TokenTree::Ident(word) if word == "use" => {
                    let end = (at..tokens.len()).find(|end| is_punct(tokens, *end, ';'));
                    if let Some(tree) = end.and_then(|end| tokens.get(at + 1..end)) {
                        self.import(&[], tree);
                    }
                }
                TokenTree::Ident(word)
                    if ["fn", "mod", "struct", "enum", "union", "type", "trait", "const", "static"]
                        .iter()
                        .any(|kind| word == kind) =>
                {
                    if let Some(name) = ident(tokens, at + 1) {
                        self.items.insert(name.to_string());
                    }
                }
                TokenTree::Ident(word) if word == "macro_rules" => {
                    if let Some(name) = ident(tokens, at + 2) {
                        self.items.insert(format!("{name}!"));
                    }
                }
                _ => {}
            }
        }
    }

    /// Reads a tree of imports: `a::b`, `a::b as c`, `a::{b, c::d}`.
    fn import(&mut self, prefix: &[String], tree: &[TokenTree]) {
        let mut path = prefix.to_vec();
        let mut at = 0;
        while let Some(token) = tree.get(at) {
            match token {
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                    for part in split_at_commas(&inside(group)) {
                        self.import(&path, part);
                    }
                    return;
                }
                TokenTree::Ident(word) if word == "as" => {
                    if let Some(alias) = ident(tree, at + 1) {
                        self.imports.insert(alias.to_string(), path);
                    }
                    return;
                }
                TokenTree::Ident(word) if word != "self" => path.push(word.to_string()),
                TokenTree::Ident(_) if path.is_empty() => path.push("self".to_owned()),
                _ if is_path_separator(tree, at) => at += 1,
                _ if is_punct(tree, at, '*') => return,
                _ => {}
            }
            at += 1;
        }
        if let Some(name) = path.last() {
            self.imports.insert(name.clone(), path);
        }
    }

    /// The path with its beginning as the body imports it; nothing for an item of the body's own.
    pub fn resolve(&self, path: &[String], is_macro: bool) -> Option<Vec<String>> {
        let (first, rest) = path.split_first()?;
        let own = if is_macro && rest.is_empty() { format!("{first}!") } else { first.clone() };
        if self.items.contains(&own) {
            return None;
        }
        Some(match self.imports.get(first) {
            Some(import) => import.iter().chain(rest).cloned().collect(),
            None => path.to_vec(),
        })
    }
}

/// The path that begins at a place: its segments without their generic arguments, the place of the last one, and where
/// the path ends.
pub fn path(tokens: &[TokenTree], at: usize) -> Option<(Vec<String>, usize, usize)> {
    let mut segments = vec![ident(tokens, at)?.to_string()];
    let (mut last, mut here) = (at, at + 1);
    while is_path_separator(tokens, here) {
        let behind = super::calls::behind_angles(tokens, here + 2);
        match ident(tokens, here + 2) {
            Some(segment) if !is_word(tokens, here + 2, "as") => {
                segments.push(segment.to_string());
                last = here + 2;
                here += 3;
            }
            _ if behind > here + 2 => here = behind,
            _ => break,
        }
    }
    Some((segments, last, here))
}
