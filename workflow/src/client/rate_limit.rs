//! Answers that say "not now" (protocol, section B).

use std::time::{Duration, SystemTime};

use ::http::HeaderMap;

use super::ClientError;
use crate::protocol::duration::parse_duration;

/// Which limit of an account was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RateLimit {
    /// Requests within a short time.
    Burst,
    /// Messages of a day.
    Daily,
    /// Requests to a language model.
    Chat,
}

impl std::fmt::Display for RateLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Burst => "limit of requests within a short time",
            Self::Daily => "daily limit",
            Self::Chat => "limit of requests to the language model",
        })
    }
}

/// What an answer with status 429 says.
pub(super) fn reached(headers: &HeaderMap, message: String, now: SystemTime) -> ClientError {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let (limit, reset) = if text("x-ratelimit-limit-requests").is_some() {
        (RateLimit::Chat, text("x-ratelimit-reset-requests"))
    } else if text("ratelimit-limit").is_some() {
        (RateLimit::Daily, text("ratelimit-reset"))
    } else {
        (RateLimit::Burst, text("burst-ratelimit-reset").or_else(|| text("retry-after")))
    };
    ClientError::RateLimited { limit, message, resets_at: reset.and_then(|reset| time(reset, now)) }
}

/// A time in unix seconds, or a duration from now.
fn time(reset: &str, now: SystemTime) -> Option<SystemTime> {
    /// A number from here on is a time: a duration of so many seconds would be 31 years.
    const A_TIME: u64 = 1_000_000_000;
    match reset.trim().parse::<u64>() {
        Ok(seconds) if seconds >= A_TIME => SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)),
        _ => now.checked_add(parse_duration(reset.trim()).ok()?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(headers: &[(&'static str, &'static str)]) -> (RateLimit, Option<u64>) {
        let map = headers.iter().map(|(name, value)| {
            (::http::HeaderName::from_static(name), ::http::HeaderValue::from_static(value))
        });
        match reached(&map.collect(), "no".to_owned(), SystemTime::UNIX_EPOCH) {
            ClientError::RateLimited { limit, resets_at, .. } => {
                (limit, resets_at.map(|at| at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()))
            }
            other => panic!("{other}"),
        }
    }

    #[test]
    fn the_headers_say_which_limit_and_when_it_is_over() {
        let chat = [("x-ratelimit-limit-requests", "9"), ("x-ratelimit-reset-requests", "6m5s")];
        assert_eq!(limit(&chat), (RateLimit::Chat, Some(365)));
        let daily = [("ratelimit-limit", "1000"), ("ratelimit-reset", "1700000001")];
        assert_eq!(limit(&daily), (RateLimit::Daily, Some(1_700_000_001)));
        let burst = [("burst-ratelimit-limit", "5"), ("burst-ratelimit-reset", "1")];
        assert_eq!(limit(&burst), (RateLimit::Burst, Some(1)));
        assert_eq!(limit(&[("retry-after", "7")]), (RateLimit::Burst, Some(7)));
        assert_eq!(limit(&[]), (RateLimit::Burst, None));
        assert_eq!(limit(&[("ratelimit-limit", "1"), ("ratelimit-reset", "soon")]), (RateLimit::Daily, None));
    }
}
