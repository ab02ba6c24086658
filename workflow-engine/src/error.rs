//! Errors of the engine.

use workflow::ClientError;

use crate::store::StoreError;

/// Why the engine did not do what it was asked to. Nothing of the request has taken effect.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The request makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// The run has ended, or never existed: nothing more can be added to it.
    #[error("{0}")]
    Ended(String),
    /// The engine does not do this, or a limit is reached.
    #[error("{0}")]
    Refused(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The engine has been shut down.
    #[error("the engine has been shut down")]
    Closed,
}

impl EngineError {
    /// The HTTP status that stands for it (protocol, section B.8 and the end of C.7).
    pub fn status(&self) -> u16 {
        match self {
            Self::Invalid(_) | Self::Ended(_) => 400,
            Self::NotFound(_) => 404,
            Self::Refused(_) => 412,
            Self::Store(_) => 500,
            Self::Closed => 503,
        }
    }
}

impl From<EngineError> for ClientError {
    fn from(error: EngineError) -> Self {
        Self::Refused { status: error.status(), message: error.to_string() }
    }
}
