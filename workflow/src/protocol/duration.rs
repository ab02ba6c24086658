//! Durations as the protocol writes them: `10s`, `7d`, `1d10h30m`, or bare seconds.

use std::time::Duration;

/// The longest duration that is understood: a thousand years. It keeps every sum with a point in time far from overflow.
pub const MAX_DURATION: Duration = Duration::from_secs(1000 * 365 * DAY);

const DAY: u64 = 86_400;

/// A text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a duration: {reason}; write for example `30s`, `1d10h30m` or `45` for seconds")]
pub struct DurationError {
    text: String,
    reason: &'static str,
}

/// Reads a duration: one or more numbers with a unit (`ms`, `s`, `m`, `h`, `d`, `w`, `mo` of 30 days, `y` of 365 days), or a
/// bare number of seconds. Numbers may have a fraction.
///
/// # Errors
/// [`DurationError`] if the text is empty, has an unknown unit or a malformed number, or exceeds [`MAX_DURATION`].
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let fail = |reason| DurationError { text: text.chars().take(64).collect(), reason };
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(fail("it is empty"));
    }
    let mut total = Duration::ZERO;
    let mut first = true;
    while !rest.is_empty() {
        let (number, after) = split_where(rest, |c| !(c.is_ascii_digit() || c == '.'));
        let (unit, after) = split_where(after, |c| !c.is_alphabetic());
        let part = match unit {
            "" if first && after.is_empty() => scaled(number, 1.0),
            "" => return Err(fail("a number lacks its unit")),
            "ms" => scaled(number, 0.001),
            "s" => scaled(number, 1.0),
            "m" => scaled(number, 60.0),
            "h" => scaled(number, 3600.0),
            "d" => scaled(number, DAY as f64),
            "w" => scaled(number, (7 * DAY) as f64),
            "mo" => scaled(number, (30 * DAY) as f64),
            "y" => scaled(number, (365 * DAY) as f64),
            _ => return Err(fail("the units are ms, s, m, h, d, w, mo and y")),
        };
        let part = part.ok_or_else(|| fail("a number is missing or malformed"))?;
        total = total
            .checked_add(part)
            .filter(|sum| *sum <= MAX_DURATION)
            .ok_or_else(|| fail("it is longer than a thousand years"))?;
        rest = after;
        first = false;
    }
    Ok(total)
}

/// Writes a duration in whole seconds, as every reader of the protocol understands it. Rounded up, so that nothing that waits
/// for it wakes early.
pub fn format_duration(duration: Duration) -> String {
    format!("{}s", whole_seconds(duration))
}

/// A duration in whole seconds, rounded up.
pub fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}

fn split_where(text: &str, end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(end).unwrap_or(text.len()))
}

/// `number` units of `seconds` each. Numbers without a fraction are computed exactly.
fn scaled(number: &str, seconds: f64) -> Option<Duration> {
    if number.bytes().all(|b| b.is_ascii_digit()) && seconds >= 1.0 {
        let whole = number.parse::<u64>().ok()?;
        return Some(Duration::from_secs(whole.saturating_mul(seconds as u64)));
    }
    let number = number.parse::<f64>().ok()?;
    Some(Duration::try_from_secs_f64(number * seconds).unwrap_or(Duration::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> f64 {
        parse_duration(text).unwrap().as_secs_f64()
    }

    #[test]
    fn single_units_combinations_and_bare_seconds_are_read() {
        assert_eq!(seconds("10s"), 10.0);
        assert_eq!(seconds("7d"), 604_800.0);
        assert_eq!(seconds("1d10h30m"), 86_400.0 + 36_000.0 + 1_800.0);
        assert_eq!(seconds("30"), 30.0);
        assert_eq!(seconds("0"), 0.0);
        assert_eq!(seconds("1w"), 7.0 * 86_400.0);
        assert_eq!(seconds("1mo"), 30.0 * 86_400.0);
        assert_eq!(seconds("1y"), 365.0 * 86_400.0);
        assert_eq!(seconds("6m5s"), 365.0);
        assert_eq!(seconds("250ms"), 0.25);
        assert_eq!(seconds("1.5h"), 5_400.0);
        assert_eq!(seconds(" 5s "), 5.0);
    }

    #[test]
    fn what_is_no_duration_is_refused_with_the_reason() {
        for text in ["", " ", "s", "10x", "-5s", "10s5", "5 s", "1..5s", ".", "1e9s", "ten", "10ß"] {
            let error = parse_duration(text).unwrap_err().to_string();
            assert!(error.contains("is not a duration"), "{text}: {error}");
        }
    }

    #[test]
    fn absurd_lengths_are_refused_without_overflow() {
        for text in [
            "18446744073709551615s",
            "18446744073709551615y",
            "1001y",
            "99999999999999999999999s",
            "999999999.9y",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        assert_eq!(parse_duration("1000y").unwrap(), MAX_DURATION);
    }

    #[test]
    fn durations_are_written_in_whole_seconds_rounded_up() {
        assert_eq!(format_duration(Duration::from_secs(10)), "10s");
        assert_eq!(format_duration(Duration::from_millis(10_001)), "11s");
        assert_eq!(format_duration(Duration::ZERO), "0s");
        assert_eq!(format_duration(Duration::MAX), format!("{}s", u64::MAX));
    }
}
