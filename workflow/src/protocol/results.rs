//! Results of steps that an engine writes: what a call was answered, how a child ended, which request a webhook got.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use rand::{RngExt as _, distr::Alphanumeric};
use serde::{Deserialize, Serialize};

use crate::client::HeaderLists;

/// What an HTTP request of `context.call` was answered: the `out` of a call step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallOut {
    /// The status.
    pub status: u16,
    /// The headers.
    #[serde(default)]
    pub header: HeaderLists,
    /// The body, one character for each byte. [`CallOut::bytes`] reads it.
    #[serde(default)]
    pub body: String,
}

impl CallOut {
    /// An answer with this body.
    pub fn new(status: u16, header: HeaderLists, body: &[u8]) -> Self {
        Self { status, header, body: body.iter().copied().map(char::from).collect() }
    }

    /// The body as it was sent. A text that has a character which stands for no byte is taken as text.
    pub fn bytes(&self) -> Bytes {
        let bytes: Option<Vec<u8>> = self.body.chars().map(|c| u8::try_from(c).ok()).collect();
        bytes.unwrap_or_else(|| self.body.clone().into_bytes()).into()
    }
}

/// How a run that was invoked has ended: the `out` of an invoke step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InvokeOut {
    /// What it has returned, as JSON; nothing where it returned nothing, has failed or was cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Whether it was cancelled.
    #[serde(default)]
    pub is_canceled: bool,
    /// Whether it has failed.
    #[serde(default)]
    pub is_failed: bool,
}

/// A webhook: the `out` of a step that creates one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// Where it is called.
    pub webhook_url: String,
    /// The id of the event that a call of it is.
    pub event_id: String,
}

impl Webhook {
    /// A new event id, `evt_` and 15 random letters and digits: whoever does not know it cannot call the webhook.
    pub fn new_event_id() -> String {
        let random = rand::rng().sample_iter(Alphanumeric).take(15).map(char::from);
        "evt_".chars().chain(random).collect()
    }
}

/// A request that a webhook got: the `out` of a step that waits for one, as base64 of this as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookOut {
    /// The method.
    pub method: String,
    /// The headers.
    #[serde(default)]
    pub header: HeaderLists,
    /// The body as base64. [`WebhookOut::bytes`] reads it.
    #[serde(default)]
    pub body: String,
    /// `http` or `https`.
    #[serde(default)]
    pub proto: String,
    /// The host that was called.
    #[serde(default)]
    pub host: String,
    /// The path and query that were called.
    #[serde(default)]
    pub url: String,
}

impl WebhookOut {
    /// The body in the form that [`body`](Self::body) has.
    pub fn encode_body(body: &[u8]) -> String {
        STANDARD.encode(body)
    }

    /// The body as it was sent.
    ///
    /// # Errors
    /// If it is no base64.
    pub fn bytes(&self) -> Result<Bytes, base64::DecodeError> {
        STANDARD.decode(&self.body).map(Bytes::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_of_an_answer_has_a_character_for_each_byte() {
        for body in [&b""[..], b"{\"a\":1}", "\u{e4}\u{20ac}".as_bytes(), &[0, 0x7f, 0x80, 0xff]] {
            let out = CallOut::new(200, HeaderLists::new(), body);
            assert_eq!(out.body.chars().count(), body.len());
            let json = serde_json::to_string(&out).unwrap();
            assert_eq!(serde_json::from_str::<CallOut>(&json).unwrap().bytes(), body);
        }
        let text = CallOut { body: "10 \u{20ac}".to_owned(), ..CallOut::new(200, HeaderLists::new(), b"") };
        assert_eq!(text.bytes(), "10 \u{20ac}".as_bytes());
    }

    #[test]
    fn a_child_without_a_result_has_no_body() {
        let out = serde_json::to_string(&InvokeOut { is_failed: true, ..InvokeOut::default() }).unwrap();
        assert_eq!(out, r#"{"isCanceled":false,"isFailed":true}"#);
        let returned = InvokeOut { body: Some("1".to_owned()), ..InvokeOut::default() };
        assert_eq!(
            serde_json::to_string(&returned).unwrap(),
            r#"{"body":"1","isCanceled":false,"isFailed":false}"#
        );
    }
}
