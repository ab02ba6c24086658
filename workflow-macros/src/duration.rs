//! Reads durations as the protocol writes them: `10s`, `1d10h30m`, or bare seconds.

use std::time::Duration;

const DAY: f64 = 86_400.0;

/// As long as the crate `workflow` understands them: a thousand years.
const LONGEST: Duration = Duration::from_secs(1000 * 365 * 86_400);

/// Reads a duration, to the millisecond.
///
/// # Errors
/// Why the text is none.
pub fn parse(text: &str) -> Result<Duration, &'static str> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err("it is empty");
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let (number, after) = split_where(rest, |c| !(c.is_ascii_digit() || c == '.'));
        let (unit, after) = split_where(after, |c| !c.is_alphabetic());
        let seconds = match unit {
            "" if after.is_empty() && number == text.trim() => 1.0,
            "" => return Err("a number lacks its unit"),
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => DAY,
            "w" => 7.0 * DAY,
            "mo" => 30.0 * DAY,
            "y" => 365.0 * DAY,
            _ => return Err("the units are `ms`, `s`, `m`, `h`, `d`, `w`, `mo` and `y`"),
        };
        let number: f64 = number.parse().map_err(|_| "a number is missing or malformed")?;
        total = Duration::try_from_secs_f64((number * seconds * 1000.0).round() / 1000.0)
            .ok()
            .and_then(|part| total.checked_add(part))
            .filter(|sum| *sum <= LONGEST)
            .ok_or("it is longer than a thousand years")?;
        rest = after;
    }
    Ok(total)
}

fn split_where(text: &str, end: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(end).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use workflow::protocol::duration::parse_duration;

    use super::parse;

    #[test]
    fn durations_are_read_as_the_protocol_reads_them() {
        for text in [
            "30s",
            "1m30s",
            "1d10h30m",
            "45",
            "0",
            "250ms",
            "1.5h",
            " 5s ",
            "1w",
            "1mo",
            "1y",
            "1000y",
            ".5s",
            "1.",
            "",
            " ",
            "s",
            "10x",
            "-5s",
            "10s5",
            "5 s",
            "1..5s",
            ".",
            "1e9s",
            "ten",
            "10ß",
            "10S",
            "1001y",
            "45 ",
            "99999999999999999999999s",
        ] {
            assert_eq!(parse(text).ok(), parse_duration(text).ok(), "{text}");
        }
    }
}
