//! When a failed attempt is repeated (protocol, section D.6).

use std::time::Duration;

use exmex::{BinOp, Express, FlatEx, MakeOperators, Operator, ops_factory};

/// No retry waits longer than this.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// An expression longer than this is refused.
const LONGEST_EXPRESSION: usize = 256;

ops_factory!(
    DelayOperators,
    f64,
    Operator::make_bin("+", BinOp { apply: |a, b| a + b, prio: 0, is_commutative: true }),
    Operator::make_bin_unary("-", BinOp { apply: |a, b| a - b, prio: 1, is_commutative: false }, |a| -a),
    Operator::make_bin("*", BinOp { apply: |a, b| a * b, prio: 2, is_commutative: true }),
    Operator::make_bin("/", BinOp { apply: |a, b| a / b, prio: 3, is_commutative: false }),
    Operator::make_bin("pow", BinOp { apply: |a: f64, b| a.powf(b), prio: 4, is_commutative: false }),
    Operator::make_bin("min", BinOp { apply: |a: f64, b| a.min(b), prio: 4, is_commutative: true }),
    Operator::make_bin("max", BinOp { apply: |a: f64, b| a.max(b), prio: 4, is_commutative: true }),
    Operator::make_unary("sqrt", |a: f64| a.sqrt()),
    Operator::make_unary("abs", |a: f64| a.abs()),
    Operator::make_unary("exp", |a: f64| a.exp()),
    Operator::make_unary("floor", |a: f64| a.floor()),
    Operator::make_unary("ceil", |a: f64| a.ceil()),
    Operator::make_unary("round", |a: f64| a.round())
);

/// The delay before retry number `retry` (from 1) when nothing else is said: `e^(2.5 retry)` seconds, at most a day.
pub fn default_delay(retry: u32) -> Duration {
    Duration::try_from_secs_f64((2.5 * f64::from(retry)).exp()).map_or(LONGEST, |delay| delay.min(LONGEST))
}

/// Checks a delay expression.
///
/// # Errors
/// A sentence that says what is wrong with it.
pub fn check(expression: &str) -> Result<(), String> {
    parse(expression).map(|_| ())
}

/// The delay before retry number `retry` (from 1) by an expression that gives milliseconds over `retried`, the number of retries
/// made so far. At least nothing, at most a day; the default where the expression gives no number.
pub fn delay(expression: Option<&str>, retry: u32) -> Duration {
    let milliseconds = expression.and_then(|expression| {
        let parsed = parse(expression).ok()?;
        let retried = vec![f64::from(retry.saturating_sub(1)); parsed.var_names().len()];
        parsed.eval(&retried).ok().filter(|value| value.is_finite())
    });
    match milliseconds {
        Some(milliseconds) => Duration::try_from_secs_f64(milliseconds.max(0.0) / 1000.0)
            .map_or(LONGEST, |delay| delay.min(LONGEST)),
        None => default_delay(retry),
    }
}

fn parse(expression: &str) -> Result<FlatEx<f64, DelayOperators>, String> {
    let refuse = |why: &str| {
        format!(
            "the retry delay `{expression}` is not an expression of `retried` in milliseconds, such as `1000 * pow(2, retried)`: \
             {why}"
        )
    };
    if expression.len() > LONGEST_EXPRESSION {
        return Err(format!("a retry delay may have {LONGEST_EXPRESSION} characters at most"));
    }
    let parsed = FlatEx::<f64, DelayOperators>::parse(expression).map_err(|error| refuse(error.msg()))?;
    match parsed.var_names().iter().find(|name| *name != "retried") {
        Some(unknown) => Err(refuse(&format!("it knows no `{unknown}`"))),
        None => Ok(parsed),
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
            ("10 - 4 - 3", 1, 3),
            ("24 / 4 / 2", 1, 3),
            ("2 * 3 + 4 * 5", 1, 26),
            ("abs(-7)", 1, 7),
            ("sqrt(16) + floor(1.9) + ceil(1.1) + round(1.5)", 1, 9),
            ("exp(0)", 1, 1),
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
