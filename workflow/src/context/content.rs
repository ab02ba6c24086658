//! Headers and body of an answer to a call, or of a call of a webhook.

use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::{
    Error,
    client::HeaderLists,
    json::{self, Misfit},
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) headers: HeaderLists,
    pub(super) body: Bytes,
}

impl Content {
    /// The first value of a header, whatever the case of its name.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let (_, values) = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        values.first().map(String::as_str)
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body, decoded from JSON; an empty one as JSON's `null`. What does not fit never will, so it is never retried.
    pub(super) fn json<T: DeserializeOwned>(
        &self,
        misfits: impl FnOnce(Misfit) -> String,
    ) -> crate::Result<T> {
        let json: &[u8] = if self.body.is_empty() { b"null" } else { &self.body };
        json::decode(json).map_err(|misfit| Error::non_retryable(misfits(misfit)))
    }
}
