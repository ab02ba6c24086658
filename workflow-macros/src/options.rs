//! Reads the options of the attribute.

use std::time::Duration;

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::{
    Error, ExprPath, LitInt, LitStr, Path, Result, Token, bracketed, parenthesized,
    parse::{Parse, ParseStream},
    parse_quote,
    punctuated::Punctuated,
    token,
};

use crate::{
    body::Lints,
    duration, expression,
    flow_control::FlowControl,
    keys::{Keys, value},
};

const KEYS: Keys = Keys {
    of: "`#[workflow]`",
    accepted: "`name = \"..\"`, `retries = 3`, `retry_delay = \"pow(2, retried) * 1000\"`, `timeout = \"30s\"`, \
               `label = \"..\"`, `flow_control(key = \"..\", parallelism = 3)`, `on_failure = path::to::function`, \
               `parse = path::to::function`, `validate = path::to::function`, `crate = path::to::workflow` and \
               `allow(nondeterminism, repeated_step_name)`",
};

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
    /// How long an attempt of a step may take.
    pub timeout: Option<Duration>,
    /// Labels of all runs.
    pub labels: Vec<LitStr>,
    /// Limits that the runs share.
    pub flow_control: Option<FlowControl>,
    /// Function that is called with a run that has failed.
    pub on_failure: Option<ExprPath>,
    /// Function that reads a payload.
    pub parse: Option<ExprPath>,
    /// Function that checks a payload.
    pub validate: Option<ExprPath>,
    /// What to warn of.
    pub lints: Lints,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            krate: parse_quote!(::workflow),
            name: None,
            retries: None,
            retry_delay: None,
            timeout: None,
            labels: Vec::new(),
            flow_control: None,
            on_failure: None,
            parse: None,
            validate: None,
            lints: Lints::default(),
        }
    }
}

impl Parse for Options {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options = Self::default();
        KEYS.read(input, &mut Vec::new(), |key, input| options.option(key, input))?;
        Ok(options)
    }
}

impl Options {
    fn option(&mut self, key: &Ident, input: ParseStream<'_>) -> Result<bool> {
        match key.to_string().as_str() {
            "crate" => {
                input.parse::<Token![=]>()?;
                self.krate = input.call(Path::parse_mod_style)?;
            }
            "name" => self.name = Some(word(value(input, "name = \"process-order\"")?, "name")?),
            "retries" => {
                let retries: LitInt = value(input, "retries = 3")?;
                whole_number(&retries, "retries = 3", "the number of retries")?;
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
            "timeout" => self.timeout = Some(timeout(&value(input, "timeout = \"30s\"")?)?),
            "label" => self.labels = labels(input)?,
            "flow_control" => self.flow_control = Some(FlowControl::read(input, key.span())?),
            "on_failure" => self.on_failure = Some(value(input, "on_failure = tell_support")?),
            "parse" => self.parse = Some(value(input, "parse = parse_order")?),
            "validate" => self.validate = Some(value(input, "validate = check_order")?),
            "allow" => {
                let lints;
                parenthesized!(lints in input);
                for lint in Punctuated::<Ident, Token![,]>::parse_terminated(&lints)? {
                    match lint.to_string().as_str() {
                        "nondeterminism" => self.lints.nondeterminism = false,
                        "repeated_step_name" => self.lints.repeated_step_name = false,
                        _ => {
                            return Err(Error::new(
                                lint.span(),
                                format!(
                                    "unknown lint `{lint}`: `#[workflow]` has `allow(nondeterminism)` and \
                                     `allow(repeated_step_name)`"
                                ),
                            ));
                        }
                    }
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Checks a number that is written without a suffix; `what` is what it says.
pub fn whole_number(number: &LitInt, example: &str, what: &str) -> Result<u32> {
    if !matches!(number.suffix(), "" | "u32") {
        return Err(Error::new(number.span(), format!("write a number without a suffix, as in `{example}`")));
    }
    number
        .base10_parse::<u32>()
        .map_err(|_| Error::new(number.span(), format!("{what} is from 0 to {}", u32::MAX)))
}

fn timeout(text: &LitStr) -> Result<Duration> {
    match duration::parse(&text.value()) {
        Ok(Duration::ZERO) => Err(Error::new(text.span(), "a timeout of 0 would leave no time for a step")),
        Ok(timeout) => Ok(timeout),
        Err(why) => Err(no_duration(text, "a timeout", why)),
    }
}

/// The period of a rate.
pub fn period(text: &LitStr) -> Result<Duration> {
    const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
    let period = duration::parse(&text.value()).map_err(|why| no_duration(text, "a period", why))?;
    if (Duration::from_secs(1)..=WEEK).contains(&period) && period.subsec_nanos() == 0 {
        Ok(period)
    } else {
        Err(Error::new(text.span(), "a period is from a second to a week, in whole seconds"))
    }
}

fn no_duration(text: &LitStr, what: &str, why: &str) -> Error {
    Error::new(
        text.span(),
        format!(
            "{what} is a duration such as `30s`, `1m30s` or `2h`, or a number of seconds; in this one {why}"
        ),
    )
}

/// A duration, as a constant.
pub fn duration(duration: Duration) -> TokenStream {
    match (duration.as_secs(), duration.subsec_millis()) {
        (seconds, 0) => quote!(::core::time::Duration::from_secs(#seconds)),
        (seconds, milliseconds) => {
            let milliseconds = seconds * 1000 + u64::from(milliseconds);
            quote!(::core::time::Duration::from_millis(#milliseconds))
        }
    }
}

/// A value that may be absent, as a constant.
pub fn optional(value: Option<&impl ToTokens>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
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

/// Names, labels and keys travel in headers and URLs, so that not every text can be one.
pub fn word(text: LitStr, what: &str) -> Result<LitStr> {
    let value = text.value();
    let fits = !value.is_empty()
        && value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    if fits {
        Ok(text)
    } else {
        Err(Error::new(text.span(), format!("a {what} is made of letters, digits, `.`, `_` and `-`")))
    }
}
