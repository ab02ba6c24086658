//! Requests to an engine, and the ids in their paths.

use ::http::{HeaderMap, HeaderValue, Method, header::CONTENT_TYPE};
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::ClientError;

/// Everything in a path segment but letters, digits and these four is escaped.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A request to the engine.
pub(crate) struct Request {
    pub(crate) method: Method,
    /// Path and query, beginning with `/v2/`, percent-encoded.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Request {
    pub(crate) fn new(method: Method, path: impl Into<String>) -> Self {
        Self { method, path: path.into(), headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// Sends this JSON.
    pub(crate) fn json(mut self, json: impl Into<Bytes>) -> Self {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.body = json.into();
        self
    }
}

/// A path segment for an id: escaped so that it stays one segment.
pub(crate) fn segment(id: &str, what: &str) -> Result<String, ClientError> {
    match id {
        "" => Err(ClientError::Encoding(format!("{what} is empty"))),
        "." | ".." => {
            Err(ClientError::Encoding(format!("{what} is `{id}`, which no URL can hold; choose another")))
        }
        _ => Ok(utf8_percent_encode(id, SEGMENT).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_become_one_path_segment_whatever_they_hold() {
        assert_eq!(segment("order-1.a_b~", "the id").unwrap(), "order-1.a_b~");
        assert_eq!(segment("a/b?c#d%e é", "the id").unwrap(), "a%2Fb%3Fc%23d%25e%20%C3%A9");
        for id in ["", ".", ".."] {
            assert!(segment(id, "the id").is_err(), "{id}");
        }
    }
}
