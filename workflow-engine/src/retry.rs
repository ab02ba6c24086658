//! When a failed attempt is repeated (protocol, section D.6).

mod expression;

use std::time::Duration;

/// No retry waits longer than this.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// An expression longer than this is refused.
const LONGEST_EXPRESSION: usize = 256;

/// The delay before retry number `retry` (from 1) when nothing else is said: `e^(2.5 retry)` seconds, at most a day.
pub fn default_delay(retry: u32) -> Duration {
    Duration::try_from_secs_f64((2.5 * f64::from(retry)).exp()).map_or(LONGEST, |delay| delay.min(LONGEST))
}

/// Checks a delay expression.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub fn check(expression: &str) -> Result<(), String> {
    if expression.len() > LONGEST_EXPRESSION {
        return Err(format!("a retry delay may have {LONGEST_EXPRESSION} characters at most"));
    }
    expression::evaluate(expression, 0.0).map(drop).map_err(|why| {
        format!(
            "the retry delay `{expression}` is not an expression of `retried` in milliseconds, such as `1000 * pow(2, retried)`: \
             {why}"
        )
    })
}

/// The delay before retry number `retry` (from 1) by an expression that gives milliseconds over `retried`, the number of retries
/// made so far. At least nothing, at most a day; the default where the expression gives no number.
pub fn delay(expression: Option<&str>, retry: u32) -> Duration {
    let retried = f64::from(retry.saturating_sub(1));
    let milliseconds = expression
        .and_then(|expression| expression::evaluate(expression, retried).ok())
        .filter(|milliseconds| milliseconds.is_finite());
    match milliseconds {
        Some(milliseconds) => Duration::try_from_secs_f64(milliseconds.max(0.0) / 1000.0)
            .map_or(LONGEST, |delay| delay.min(LONGEST)),
        None => default_delay(retry),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_backoff_is_the_documented_one() {
        let seconds: Vec<u64> = (1..=5).map(|retry| default_delay(retry).as_secs()).collect();
        assert_eq!(seconds, [12, 148, 1808, 22026, 86400]);
        assert_eq!(default_delay(u32::MAX), LONGEST);
    }

    #[test]
    fn expressions_give_milliseconds() {
        for (expression, retry, milliseconds) in [
            ("1000", 1, 1000),
            ("1000 * retried", 1, 0),
            ("1000 * (1 + retried)", 3, 3000),
            ("pow(2, retried) * 100", 4, 800),
            ("min(500, 100 * retried)", 9, 500),
            ("max(50, retried)", 1, 50),
            ("max(100, min(150, 100 * retried))", 3, 150),
            ("-5", 1, 0),
        ] {
            assert_eq!(delay(Some(expression), retry), Duration::from_millis(milliseconds), "{expression}");
        }
    }

    #[test]
    fn a_delay_is_a_day_at_most_and_never_nonsense() {
        assert_eq!(delay(Some("pow(10, 30)"), 1), LONGEST);
        assert_eq!(delay(Some("0 / 0"), 1), default_delay(1));
        assert_eq!(delay(Some("exp(10000)"), 2), default_delay(2));
    }

    #[test]
    fn bad_expressions_are_refused_with_the_reason() {
        for bad in ["", "1000 *", "tries * 2", "(1", "sleep(1)", &"1+".repeat(200)] {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert!(check("tries * 2").unwrap_err().contains("`tries`"));
    }
}
