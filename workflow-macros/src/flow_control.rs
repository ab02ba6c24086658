//! Reads `flow_control(key = "shop", parallelism = 3, rate = 10, period = "1m")`.

use std::time::Duration;

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::{Error, LitInt, LitStr, Path, Result, parenthesized, parse::ParseStream};

use crate::{
    keys::{Keys, value},
    options::{duration, optional, period, whole_number, word},
};

/// How it is written.
pub const EXAMPLE: &str = "flow_control(key = \"shop\", parallelism = 3, rate = 10, period = \"1m\")";

const KEYS: Keys = Keys {
    of: "`flow_control`",
    accepted: "`key = \"..\"`, `parallelism = 3`, `rate = 10` and `period = \"1m\"`",
};

/// Limits that the runs of a workflow share, with one limit at least.
pub struct FlowControl {
    key: LitStr,
    parallelism: Option<LitInt>,
    rate: Option<LitInt>,
    period: Option<Duration>,
}

impl FlowControl {
    /// Reads what follows the option's name, which stands at `place`.
    ///
    /// # Errors
    /// The first mistake, at its place.
    pub fn read(input: ParseStream<'_>, place: Span) -> Result<Self> {
        let list;
        let parentheses = parenthesized!(list in input);
        let (mut key, mut parallelism, mut rate, mut period_of_rate) = (None, None, None, None);
        KEYS.read(&list, &mut Vec::new(), |name, input| {
            match name.to_string().as_str() {
                "key" => key = Some(word(value(input, "key = \"shop\"")?, "key")?),
                "parallelism" => parallelism = Some(limit(name, input, "parallelism = 3")?),
                "rate" => rate = Some(limit(name, input, "rate = 10")?),
                "period" => period_of_rate = Some((name.span(), period(&value(input, "period = \"1m\"")?)?)),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        match (key, period_of_rate) {
            (None, _) => Err(Error::new(
                place,
                format!(
                    "flow control needs a `key`: what has the same key shares the limits, as in `{EXAMPLE}`"
                ),
            )),
            (Some(_), Some((place, _))) if rate.is_none() => {
                Err(Error::new(place, "a period is that of a rate: add `rate = 10`"))
            }
            (Some(_), _) if parallelism.is_none() && rate.is_none() => Err(Error::new(
                parentheses.span.join(),
                format!("this limits nothing: give `parallelism`, `rate`, or both, as in `{EXAMPLE}`"),
            )),
            (Some(key), period) => {
                Ok(Self { key, parallelism, rate, period: period.map(|(_, period)| period) })
            }
        }
    }

    /// The limits as a constant.
    pub fn to_tokens(&self, krate: &Path) -> TokenStream {
        let Self { key, parallelism, rate, period } = self;
        let parallelism = optional(parallelism.as_ref());
        let rate = optional(rate.as_ref());
        let period = optional(period.map(duration).as_ref());
        quote! {
            #krate::__private::FlowLimits {
                key: #key,
                parallelism: #parallelism,
                rate: #rate,
                period: #period,
            }
        }
    }
}

/// How many, at least one.
fn limit(name: &Ident, input: ParseStream<'_>, example: &str) -> Result<LitInt> {
    let limit: LitInt = value(input, example)?;
    if whole_number(&limit, example, &format!("`{name}`"))? == 0 {
        return Err(Error::new(
            limit.span(),
            format!("a {name} of 0 would let nothing run: give at least 1"),
        ));
    }
    Ok(limit)
}
