//! Who may use the API: whoever knows the token.

use http::{HeaderMap, header::AUTHORIZATION};
use subtle::ConstantTimeEq;

use super::refusal::Refusal;

/// The query parameter that stands in for the header where a caller cannot set one.
pub(super) const PARAMETER: &str = "qstash_token";

pub(super) struct Token(String);

impl Token {
    pub(super) fn new(token: String) -> Self {
        Self(token)
    }

    /// Checks the bearer token of a request or, where there is no such header, the one in its query.
    pub(super) fn check(&self, headers: &HeaderMap, raw_query: &str) -> Result<(), Refusal> {
        let given = match headers.get(AUTHORIZATION) {
            Some(header) => bearer(header.as_bytes()).map(<[u8]>::to_vec).ok_or_else(|| {
                Refusal::unauthorized("the header `Authorization` must be `Bearer`, a space, and the token")
            })?,
            None => url::form_urlencoded::parse(raw_query.as_bytes())
                .find(|(name, _)| name == PARAMETER)
                .map(|(_, value)| value.into_owned().into_bytes())
                .ok_or_else(|| {
                    Refusal::unauthorized(
                        "the request has no token; send the header `Authorization: Bearer <token>`",
                    )
                })?,
        };
        // An empty token is no token: a server that was started with one must not be open to everybody.
        if !self.0.is_empty() && bool::from(given.ct_eq(self.0.as_bytes())) {
            Ok(())
        } else {
            Err(Refusal::unauthorized("the token is not the one of this engine"))
        }
    }
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}
