//! One engine over HTTP: where it is, how to authenticate, and when to try again.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use ::http::{HeaderMap, HeaderValue, StatusCode, header::AUTHORIZATION};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use url::Url;

use super::{
    ClientError, HOSTED_URL, http_client_builder, rate_limit,
    request::Request,
    settings::{DEVELOPMENT_TOKEN, base_url, development_url, env},
};

/// How often a request is repeated that got no answer. An answer, of any status, is never asked for again.
const REPETITIONS: u32 = 5;
/// How long a silent engine is waited for.
const SILENCE: Duration = Duration::from_secs(120);

/// An engine over HTTP. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Connection {
    inner: Arc<Inner>,
}

struct Inner {
    /// Without a trailing slash.
    base: String,
    authorization: HeaderValue,
    /// Whose token it is, where it says so.
    user: Option<String>,
    http: reqwest::Client,
}

impl Connection {
    pub(crate) fn new(url: &str, token: &str) -> Result<Self, ClientError> {
        let base = base_url(url, "the engine's URL")?;
        let mut authorization = HeaderValue::try_from(format!("Bearer {token}"))
            .ok()
            .filter(|_| !token.is_empty())
            .ok_or_else(|| {
                ClientError::Configuration(
                    "the token is empty or has characters that no header can hold".to_owned(),
                )
            })?;
        authorization.set_sensitive(true);
        let http = http_client_builder()?
            .read_timeout(SILENCE)
            .build()
            .map_err(|error| ClientError::Configuration(format!("HTTP could not be set up: {error}")))?;
        Ok(Self { inner: Arc::new(Inner { base, authorization, user: user_of(token), http }) })
    }

    /// The connection that the environment describes: to the development server where `QSTASH_DEV` asks for it, else as
    /// `QSTASH_URL` and `QSTASH_TOKEN` say, if a token is set.
    pub(crate) fn from_env() -> Result<Option<Self>, ClientError> {
        if let Some(url) = development_url()? {
            return Self::new(&url, DEVELOPMENT_TOKEN).map(Some);
        }
        let url = env("QSTASH_URL")?;
        let Some(token) = env("QSTASH_TOKEN")? else {
            return match url {
                None => Ok(None),
                Some(_) => Err(ClientError::Configuration(
                    "QSTASH_URL is set but QSTASH_TOKEN is not; set the token of that engine".to_owned(),
                )),
            };
        };
        Self::new(url.as_deref().unwrap_or(HOSTED_URL), &token).map(Some)
    }

    /// Where the engine is.
    pub(crate) fn url(&self) -> &str {
        &self.inner.base
    }

    /// Whose token it is: part of the URLs of webhooks. Tokens need not say so.
    pub(crate) fn user(&self) -> Option<&str> {
        self.inner.user.as_deref()
    }

    /// Sends a request and reads the answer. Repeats it while the network fails.
    pub(crate) async fn send(&self, request: Request) -> Result<Bytes, ClientError> {
        let url = format!("{}{}", self.inner.base, request.path);
        let url = Url::parse(&url)
            .map_err(|error| ClientError::Encoding(format!("`{url}` is not a URL: {error}")))?;
        let mut repetition = 0;
        loop {
            match self.attempt(&url, &request).await {
                Ok((status, _, body)) if status.is_success() => return Ok(body),
                Ok((status, headers, body)) => return Err(refusal(status, &headers, &body)),
                Err(error) if error.is_builder() => {
                    return Err(ClientError::Encoding(format!("the request cannot be sent: {error}")));
                }
                Err(error) if repetition == REPETITIONS || was_silent(&error) => {
                    return Err(ClientError::Unreachable {
                        url: self.inner.base.clone(),
                        message: causes(&error),
                    });
                }
                Err(error) => {
                    tracing::debug!(%error, repetition, "the engine did not answer; trying again");
                    tokio::time::sleep(backoff(repetition)).await;
                    repetition += 1;
                }
            }
        }
    }

    /// Sends a request and decodes the answer from JSON.
    pub(crate) async fn fetch<T: DeserializeOwned>(&self, request: Request) -> Result<T, ClientError> {
        let path = request.path.clone();
        let body = self.send(request).await?;
        decode(&body, &path)
    }

    async fn attempt(
        &self,
        url: &Url,
        request: &Request,
    ) -> Result<(StatusCode, HeaderMap, Bytes), reqwest::Error> {
        let answer = self
            .inner
            .http
            .request(request.method.clone(), url.clone())
            .headers(request.headers.clone())
            .header(AUTHORIZATION, self.inner.authorization.clone())
            .body(request.body.clone())
            .send()
            .await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        Ok((status, headers, answer.bytes().await?))
    }
}

/// The user that a token names: it is base64 of `{"UserID", "Password"}`.
fn user_of(token: &str) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Token {
        #[serde(rename = "UserID")]
        user: String,
    }
    let token = STANDARD.decode(token).ok()?;
    let Token { user } = serde_json::from_slice(&token).ok()?;
    Some(user).filter(|user| !user.is_empty())
}

/// Decodes an answer of the engine.
pub(crate) fn decode<T: DeserializeOwned>(body: &[u8], path: &str) -> Result<T, ClientError> {
    let mut json = serde_json::Deserializer::from_slice(body);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        ClientError::Encoding(format!("the engine's answer to {path} is not understood: {error}"))
    })
}

/// What the engine says when it refuses: the `error` of its JSON, or the text as it is.
fn refusal(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> ClientError {
    #[derive(serde::Deserialize)]
    struct Refusal {
        error: String,
    }
    let message = match serde_json::from_slice::<Refusal>(body) {
        Ok(refusal) => refusal.error,
        Err(_) if body.is_empty() => status.canonical_reason().unwrap_or("no reason given").to_owned(),
        Err(_) => String::from_utf8_lossy(body).chars().take(1000).collect(),
    };
    if status == StatusCode::TOO_MANY_REQUESTS {
        return rate_limit::reached(headers, message, SystemTime::now());
    }
    ClientError::Refused { status: status.as_u16(), message }
}

/// Whether the engine took the request and then said nothing. It may still be at work on it, so it is not asked again.
fn was_silent(error: &reqwest::Error) -> bool {
    error.is_timeout() && !error.is_connect()
}

/// 50, 136, 369, 1004 and 2730 milliseconds.
fn backoff(repetition: u32) -> Duration {
    Duration::from_secs_f64(f64::from(repetition).exp() * 0.05)
}

/// An error with everything that led to it; reqwest's own text stops at "error sending request".
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_needs_an_absolute_url_and_a_token() {
        for url in ["", "localhost:8080", "/v2", "ftp://a", "http://a?b", "http://a#b"] {
            assert!(matches!(Connection::new(url, "t"), Err(ClientError::Configuration(_))), "{url}");
        }
        for token in ["", "a\nb"] {
            assert!(
                matches!(Connection::new("http://a", token), Err(ClientError::Configuration(_))),
                "{token:?}"
            );
        }
        assert_eq!(
            Connection::new("http://a/b/", "t").map(|c| c.url().to_owned()).ok().as_deref(),
            Some("http://a/b")
        );
    }

    #[test]
    fn a_refusal_tells_the_engines_reason() {
        let message = |status: u16, body: &str| {
            let status = StatusCode::from_u16(status).unwrap();
            refusal(status, &HeaderMap::new(), body.as_bytes()).to_string()
        };
        assert_eq!(message(404, r#"{"error":"no such run"}"#), "the engine refused (404): no such run");
        assert_eq!(message(502, "bad gateway"), "the engine refused (502): bad gateway");
        assert_eq!(message(503, ""), "the engine refused (503): Service Unavailable");
    }
}
