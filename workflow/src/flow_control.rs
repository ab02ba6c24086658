//! Limits that runs, or calls, share by a key.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::protocol::duration::{format_duration, parse_duration};

/// The period of a rate, unless it is given.
const DEFAULT_PERIOD: Duration = Duration::from_secs(1);
/// The longest period of a rate: a week.
const MAX_PERIOD: Duration = Duration::from_secs(7 * 24 * 3600);

/// Limits of everything that has the same key: how many deliveries (or calls) are under way at once, and how many begin in each
/// period (protocol, section D.7). What exceeds them waits; it never fails.
///
/// ```
/// use std::time::Duration;
/// use workflow::FlowControl;
///
/// let limits = FlowControl::key("user-7").parallelism(3).rate(10).period(Duration::from_secs(60));
/// assert_eq!(limits.value(), "parallelism=3, rate=10, period=60s");
/// assert!(limits.check().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowControl {
    /// What shares the limits.
    pub key: String,
    /// How many may be under way at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallelism: Option<u32>,
    /// How many may begin in a period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
    /// The period of the rate, in whole seconds on the wire; a second if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<Duration>,
}

/// Limits that make no sense, or are not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FlowControlError(String);

impl FlowControl {
    /// Limits for a key; none is set yet.
    pub fn key(key: impl Into<String>) -> Self {
        Self { key: key.into(), parallelism: None, rate: None, period: None }
    }

    /// Sets how many may be under way at once: at least 1.
    pub fn parallelism(mut self, parallelism: u32) -> Self {
        self.parallelism = Some(parallelism);
        self
    }

    /// Sets how many may begin in each [period](Self::period): at least 1.
    pub fn rate(mut self, rate: u32) -> Self {
        self.rate = Some(rate);
        self
    }

    /// Sets the period of the rate: from a second to a week.
    pub fn period(mut self, period: Duration) -> Self {
        self.period = Some(period);
        self
    }

    /// The period of the rate, whether it was given or not.
    pub fn rate_period(&self) -> Duration {
        self.period.unwrap_or(DEFAULT_PERIOD)
    }

    /// Checks key and limits.
    ///
    /// # Errors
    /// If the key is not made of letters, digits, `.`, `_` and `-`, no limit is set, one is 0, or the period is not from a
    /// second to a week.
    pub fn check(&self) -> Result<(), FlowControlError> {
        let key_fits = !self.key.is_empty()
            && self.key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if !key_fits {
            return Err(FlowControlError(format!(
                "the flow-control key `{}` is not made of letters, digits, `.`, `_` and `-` only",
                self.key
            )));
        }
        if self.parallelism.is_none() && self.rate.is_none() {
            return Err(FlowControlError(format!(
                "the flow control of `{}` limits nothing: set its parallelism, its rate, or both",
                self.key
            )));
        }
        if self.parallelism == Some(0) || self.rate == Some(0) {
            return Err(FlowControlError(format!(
                "the flow control of `{}` has a limit of 0, with which nothing would ever run",
                self.key
            )));
        }
        if !(DEFAULT_PERIOD..=MAX_PERIOD).contains(&self.rate_period()) {
            return Err(FlowControlError(format!(
                "the period of the flow control of `{}` is not from a second to a week",
                self.key
            )));
        }
        Ok(())
    }

    /// The limits as the header `Upstash-Flow-Control-Value` has them on messages.
    pub fn value(&self) -> String {
        let parallelism = self.parallelism.map(|limit| format!("parallelism={limit}"));
        let rate = self.rate.map(|limit| format!("rate={limit}"));
        let period = self.period.map(|period| format!("period={}", format_duration(period)));
        [parallelism, rate, period].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// The limits as the header `Upstash-Flow-Control-Value` has them on deliveries: in whole seconds, and with the period
    /// wherever there is a rate.
    pub fn delivered_value(&self) -> String {
        let parallelism = self.parallelism.map(|limit| format!("parallelism={limit}"));
        let rate = self.rate.map(|limit| format!("rate={limit},period={}", self.rate_period().as_secs()));
        [parallelism, rate].into_iter().flatten().collect::<Vec<_>>().join(",")
    }

    /// Reads the headers `Upstash-Flow-Control-Key` and `Upstash-Flow-Control-Value`.
    ///
    /// # Errors
    /// If the value is not understood; what it says is not [checked](Self::check).
    pub fn parse(key: &str, value: &str) -> Result<Self, FlowControlError> {
        let mut limits = Self::key(key);
        for part in value.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let unclear = |why: &dyn fmt::Display| {
                FlowControlError(format!("the flow control `{value}` of `{key}` is not understood: {why}"))
            };
            let (name, limit) = part.split_once('=').unwrap_or((part, ""));
            let number = || {
                limit
                    .trim()
                    .parse::<u32>()
                    .map(Some)
                    .map_err(|_| unclear(&format_args!("`{part}` is no whole number")))
            };
            match name.trim() {
                "parallelism" => limits.parallelism = number()?,
                "rate" | "ratePerSecond" => limits.rate = number()?,
                "period" => limits.period = Some(parse_duration(limit).map_err(|error| unclear(&error))?),
                other => {
                    return Err(unclear(&format_args!(
                        "there are `parallelism`, `rate` and `period`, but no `{other}`"
                    )));
                }
            }
        }
        Ok(limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_written_and_read_as_the_protocol_has_them() {
        let limits = FlowControl::key("k").parallelism(3).rate(10).period(Duration::from_secs(100));
        assert_eq!(limits.value(), "parallelism=3, rate=10, period=100s");
        assert_eq!(limits.delivered_value(), "parallelism=3,rate=10,period=100");
        assert_eq!(FlowControl::key("k").rate(10).delivered_value(), "rate=10,period=1");
        assert_eq!(FlowControl::key("k").parallelism(3).delivered_value(), "parallelism=3");
        assert_eq!(FlowControl::parse("k", &limits.value()).unwrap(), limits);
        assert_eq!(FlowControl::parse("k", "parallelism=3,rate=10,period=100").unwrap(), limits);
        assert_eq!(FlowControl::parse("k", "rate=7").unwrap(), FlowControl::key("k").rate(7));
        for bad in ["parallelism", "rate=many", "speed=3", "period=soon", "rate=-1"] {
            assert!(FlowControl::parse("k", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn limits_that_make_no_sense_are_told() {
        let week = Duration::from_secs(7 * 24 * 3600);
        assert!(FlowControl::key("a.b_c-1").rate(1).period(week).check().is_ok());
        for bad in [
            FlowControl::key("").rate(1),
            FlowControl::key("a b").rate(1),
            FlowControl::key("a"),
            FlowControl::key("a").rate(0),
            FlowControl::key("a").parallelism(0),
            FlowControl::key("a").rate(1).period(Duration::ZERO),
            FlowControl::key("a").rate(1).period(week * 2),
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
