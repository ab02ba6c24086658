//! The error of workflows and steps.
//!
//! One fixed type, so that `?` needs no annotation inside a step. It is built from any [`std::error::Error`] and therefore
//! cannot be one itself: the two would make `From` ambiguous.

use std::{any::Any, error::Error as StdError, fmt, time::Duration};

use crate::engine::Retry;

/// The result of workflows and steps.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a step or a workflow failed, and whether to try it again.
///
/// Made by `?` from any error, such a failure is retried as the run's settings say. [`Error::non_retryable`] and
/// [`Error::retry_after`] say otherwise.
///
/// ```
/// use std::time::Duration;
/// use workflow::Error;
///
/// fn charge(status: u16) -> workflow::Result<u32> {
///     match status {
///         200 => Ok("42".parse()?),
///         402 => Err(Error::non_retryable("the card was declined")),
///         429 => Err(Error::retry_after("too many requests", Duration::from_secs(30))),
///         _ => Err(Error::msg(format!("the payment service answered {status}"))),
///     }
/// }
/// # assert_eq!(charge(200).unwrap(), 42);
/// # assert!(charge(402).unwrap_err().is_non_retryable());
/// # assert_eq!(charge(429).unwrap_err().retry_delay(), Some(Duration::from_secs(30)));
/// ```
pub struct Error {
    cause: Cause,
    retry: Retry,
}

enum Cause {
    Message(String),
    Error(Box<dyn StdError + Send + Sync>),
}

impl Error {
    /// An error with a message. It is retried.
    pub fn msg(message: impl Into<String>) -> Self {
        Self { cause: Cause::Message(message.into()), retry: Retry::Backoff }
    }

    /// An error that no retry can help: the run fails at once.
    ///
    /// Takes a message or any error.
    pub fn non_retryable(cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { cause: Cause::Error(cause.into()), retry: Retry::Never }
    }

    /// An error after which the next attempt is made after `delay` instead of after the usual backoff. It counts as one of
    /// the run's retries.
    ///
    /// Takes a message or any error.
    pub fn retry_after(cause: impl Into<Box<dyn StdError + Send + Sync>>, delay: Duration) -> Self {
        Self { cause: Cause::Error(cause.into()), retry: Retry::After(delay) }
    }

    /// Whether the error is never retried.
    pub fn is_non_retryable(&self) -> bool {
        self.retry == Retry::Never
    }

    /// After how long the next attempt is to be made, if the error says so.
    pub fn retry_delay(&self) -> Option<Duration> {
        match self.retry {
            Retry::After(delay) => Some(delay),
            Retry::Backoff | Retry::Never => None,
        }
    }

    /// The error that this one was made from, if it was made from one of type `E`.
    pub fn downcast_ref<E: StdError + 'static>(&self) -> Option<&E> {
        match &self.cause {
            Cause::Message(_) => None,
            Cause::Error(error) => error.downcast_ref(),
        }
    }

    pub(crate) fn retry(&self) -> Retry {
        self.retry
    }

    /// The message with those of all its causes, for people.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.to_string();
        let Cause::Error(error) = &self.cause else { return text };
        let mut source = error.source();
        while let Some(cause) = source {
            let message = cause.to_string();
            if !text.contains(&message) {
                text.push_str(": ");
                text.push_str(&message);
            }
            source = cause.source();
        }
        text
    }
}

impl<E: StdError + Send + Sync + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Self { cause: Cause::Error(Box::new(error)), retry: Retry::Backoff }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            Cause::Message(message) => f.write_str(message),
            Cause::Error(error) => fmt::Display::fmt(error, f),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.chain())?;
        match self.retry {
            Retry::Backoff => Ok(()),
            Retry::After(delay) => write!(f, " (retry after {delay:?})"),
            Retry::Never => f.write_str(" (not to be retried)"),
        }
    }
}

/// A panic as an ordinary failure.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Error {
    let message = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a message");
    Error::msg(format!("the code panicked: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the order could not be stored")]
    struct Outer(#[source] std::num::ParseIntError);

    fn outer() -> Outer {
        Outer("x".parse::<u8>().unwrap_err())
    }

    #[test]
    fn the_question_mark_keeps_the_error_and_retries() {
        let error = Error::from(outer());
        assert_eq!(error.retry(), Retry::Backoff);
        assert!(error.downcast_ref::<Outer>().is_some());
        assert_eq!(error.to_string(), "the order could not be stored");
        assert_eq!(error.chain(), "the order could not be stored: invalid digit found in string");
    }

    #[test]
    fn the_kinds_of_retry_are_told_apart() {
        let never = Error::non_retryable(outer());
        assert!(never.is_non_retryable());
        assert_eq!(never.retry_delay(), None);
        assert!(format!("{never:?}").ends_with("(not to be retried)"), "{never:?}");

        let later = Error::retry_after("busy", Duration::from_secs(7));
        assert!(!later.is_non_retryable());
        assert_eq!(later.retry_delay(), Some(Duration::from_secs(7)));
        assert_eq!(Error::msg("busy").retry_delay(), None);
    }
}
