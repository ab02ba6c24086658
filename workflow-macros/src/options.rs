//! Reads the options of the attribute.

use proc_macro2::{Ident, Span};
use syn::{
    Error, LitInt, LitStr, Path, Result, Token, bracketed,
    ext::IdentExt,
    parenthesized,
    parse::{Parse, ParseStream},
    parse_quote,
    punctuated::Punctuated,
    token,
};

use crate::expression;

/// The keys, as they are written.
const ACCEPTED: &str = "`name = \"..\"`, `retries = 3`, `retry_delay = \"pow(2, retried) * 1000\"`, `label = \"..\"`, \
                        `crate = path::to::workflow` and `allow(nondeterminism)`";

/// What stands in the parentheses of `#[workflow(..)]`.
pub struct Options {
    /// Path of the crate `workflow`.
    pub krate: Path,
    /// The workflow's name, if it is not the function's.
    pub name: Option<LitStr>,
    /// How often a failed step is retried.
    pub retries: Option<LitInt>,
    /// Expression for the delay before a retry.
    pub retry_delay: Option<LitStr>,
    /// Labels of all runs.
    pub labels: Vec<LitStr>,
    /// Whether to warn of what differs from replay to replay.
    pub lint_nondeterminism: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            krate: parse_quote!(::workflow),
            name: None,
            retries: None,
            retry_delay: None,
            labels: Vec::new(),
            lint_nondeterminism: true,
        }
    }
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options = Self::default();
        let mut seen: Vec<Ident> = Vec::new();
        while !input.is_empty() {
            let key = input.call(Ident::parse_any)?;
            if seen.contains(&key) {
                return Err(Error::new(
                    key.span(),
                    format!("the option `{key}` is given twice; give each of these once: {ACCEPTED}"),
                ));
            }
            options.option(&key, input)?;
            seen.push(key);
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(options)
    }
}

impl Options {
    fn option(&mut self, key: &Ident, input: ParseStream<'_>) -> Result<()> {
        match key.to_string().as_str() {
            "crate" => {
                input.parse::<Token![=]>()?;
                self.krate = input.call(Path::parse_mod_style)?;
            }
            "name" => self.name = Some(word(value(input, "name = \"process-order\"")?, "name")?),
            "retries" => {
                let retries: LitInt = value(input, "retries = 3")?;
                whole_number(&retries)?;
                self.retries = Some(retries);
            }
            "retry_delay" => {
                let delay: LitStr = value(input, "retry_delay = \"pow(2, retried) * 1000\"")?;
                expression::check(&delay.value()).map_err(|why| {
                    Error::new(
                        delay.span(),
                        format!(
                            "a retry delay is an expression over `retried` that gives milliseconds, as in \
                             `pow(2, retried) * 1000`; in this one {why}"
                        ),
                    )
                })?;
                self.retry_delay = Some(delay);
            }
            "label" => self.labels = labels(input)?,
            "allow" => {
                let lints;
                parenthesized!(lints in input);
                for lint in Punctuated::<Ident, Token![,]>::parse_terminated(&lints)? {
                    if lint != "nondeterminism" {
                        return Err(Error::new(
                            lint.span(),
                            format!("unknown lint `{lint}`: `#[workflow]` has only `allow(nondeterminism)`"),
                        ));
                    }
                    self.lint_nondeterminism = false;
                }
            }
            _ => {
                return Err(Error::new(
                    key.span(),
                    format!("unknown option `{key}`: `#[workflow]` takes {ACCEPTED}"),
                ));
            }
        }
        Ok(())
    }
}

/// The value behind a key's `=`, or how to write it.
fn value<T: Parse>(input: ParseStream<'_>, example: &str) -> Result<T> {
    input.parse::<Token![=]>()?;
    let place = if input.is_empty() { Span::call_site() } else { input.cursor().span() };
    input.parse().map_err(|_| Error::new(place, format!("write it like this: `{example}`")))
}

fn whole_number(number: &LitInt) -> Result<()> {
    if !matches!(number.suffix(), "" | "u32") {
        return Err(Error::new(number.span(), "write a number without a suffix, as in `retries = 3`"));
    }
    number
        .base10_parse::<u32>()
        .map(drop)
        .map_err(|_| Error::new(number.span(), format!("the number of retries is from 0 to {}", u32::MAX)))
}

/// One label, or several in brackets.
fn labels(input: ParseStream<'_>) -> Result<Vec<LitStr>> {
    let fork = input.fork();
    fork.parse::<Token![=]>()?;
    if !fork.peek(token::Bracket) {
        return Ok(vec![word(value(input, "label = \"retail\"")?, "label")?]);
    }
    input.parse::<Token![=]>()?;
    let list;
    bracketed!(list in input);
    let labels = Punctuated::<LitStr, Token![,]>::parse_terminated(&list)?;
    labels.into_iter().map(|label| word(label, "label")).collect()
}

/// Names and labels travel in headers and URLs, so that not every text can be one.
fn word(text: LitStr, what: &str) -> Result<LitStr> {
    let value = text.value();
    let fits = !value.is_empty()
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if fits {
        Ok(text)
    } else {
        Err(Error::new(text.span(), format!("a {what} is made of letters, digits, `.`, `_` and `-`")))
    }
}
