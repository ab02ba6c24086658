//! Webhooks: where they are, and who calls them.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Method};
use workflow::{
    client::HeaderLists,
    protocol::{Step, StepType, Webhook, WebhookOut},
};

use crate::{
    command::CallWebhook,
    engine::Engine,
    error::EngineError,
    limits::check_id,
    store::{Entry, Run, StoreError, run_or_successor},
};

/// The public address below which the webhooks of this process are.
#[derive(Clone, Debug)]
pub struct WebhookBase(url::Url);

impl WebhookBase {
    /// # Errors
    /// If it is not absolute, or has a query.
    pub fn new(url: &str) -> Result<Self, EngineError> {
        let bad = |why: &str| {
            EngineError::Invalid(format!(
                "webhooks cannot be at `{url}`: {why}; give an address such as `https://shop.example/hooks`"
            ))
        };
        let parsed = url::Url::parse(url).map_err(|error| bad(&error.to_string()))?;
        if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
            return Err(bad("it must begin with http:// or https://"));
        }
        if parsed.query().is_some() || parsed.fragment().is_some() {
            return Err(bad("it must have neither a query nor a fragment"));
        }
        Ok(Self(parsed))
    }

    /// A new webhook of a run.
    pub fn create(&self, run_id: &str) -> Webhook {
        let event_id = Webhook::new_event_id();
        Webhook { webhook_url: self.url(run_id, &event_id).into(), event_id }
    }

    fn url(&self, run_id: &str, event_id: &str) -> url::Url {
        let mut url = self.0.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(run_id).push(event_id);
        }
        url
    }
}

/// There is no address for webhooks.
pub fn no_base() -> EngineError {
    EngineError::Invalid(
        "this engine has not been told where its webhooks are reached from outside: set it when the engine is opened, with \
         `Engine::builder().webhooks_at(\"https://shop.example/hooks\")`"
            .to_owned(),
    )
}

/// A request to a webhook.
#[derive(Clone, Debug)]
pub struct WebhookCall {
    /// The method.
    pub method: Method,
    /// The headers.
    pub headers: HeaderMap,
    /// `http` or `https`.
    pub proto: String,
    /// The host that was called, with its port.
    pub host: String,
    /// The path and query that were called.
    pub url: String,
    /// The body.
    pub body: Bytes,
}

impl WebhookCall {
    fn into_json(self) -> Result<Vec<u8>, StoreError> {
        let mut header = HeaderLists::new();
        for (name, value) in &self.headers {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            header.entry(name.as_str().to_owned()).or_default().push(value);
        }
        let request = WebhookOut {
            method: self.method.as_str().to_owned(),
            header,
            body: STANDARD.encode(&self.body),
            proto: self.proto,
            host: self.host,
            url: self.url,
        };
        Ok(serde_json::to_vec(&request)?)
    }
}

impl Engine {
    /// Calls a webhook: the oldest wait of the run for it gets the request or, if it does not wait, its next one.
    ///
    /// # Errors
    /// [`EngineError::NotFound`] if the run has made no such webhook or has ended, [`EngineError::Refused`] if it has too many
    /// calls and notifications stored that it has not waited for.
    pub async fn call_webhook(
        &self,
        run_id: &str,
        event_id: &str,
        call: WebhookCall,
    ) -> Result<(), EngineError> {
        check_id("run id", run_id)?;
        check_id("event id", event_id)?;
        // Whoever does not know the webhook learns nothing from the answer.
        let unknown = || EngineError::NotFound("there is no such webhook, or its run has ended".to_owned());
        let (id, event) = (run_id.to_owned(), event_id.to_owned());
        let run = self
            .inner
            .readers
            .read(move |reader| {
                // A resumed run goes on with the webhooks of the one that has failed.
                let run = run_or_successor(reader, &id)?;
                let Some(run) = run.filter(Run::is_active) else { return Ok(None) };
                let entries = reader.history(run.key, i64::MAX)?;
                Ok(entries.iter().any(|entry| creates(entry, &event)).then_some(run.key))
            })
            .await?
            .ok_or_else(unknown)?;
        let request = call.into_json()?;
        let command = CallWebhook { run, event: event_id.to_owned(), request };
        if self.inner.writer.submit(command).await? { Ok(()) } else { Err(unknown()) }
    }

    /// Answers a request that has come to a route for webhooks of this process. `path` is what follows the address that the
    /// engine was told of, as it was sent.
    pub(crate) async fn answer_webhook(
        &self,
        path: String,
        request: http::Request<Bytes>,
    ) -> http::Response<Bytes> {
        match self.take_webhook(&path, request).await {
            Ok(()) => answer(200, &serde_json::json!({})),
            Err(error) => answer(error.status(), &serde_json::json!({ "error": error.to_string() })),
        }
    }

    async fn take_webhook(&self, path: &str, request: http::Request<Bytes>) -> Result<(), EngineError> {
        let base = self.inner.webhooks.as_ref().ok_or_else(no_base)?;
        let unknown = || EngineError::NotFound(format!("`{path}` is not the path of a webhook"));
        let (run_id, event_id) = path.trim_start_matches('/').split_once('/').ok_or_else(unknown)?;
        let decode = |part: &str| {
            percent_encoding::percent_decode_str(part).decode_utf8().map(std::borrow::Cow::into_owned)
        };
        let run_id = decode(run_id).map_err(|_| unknown())?;
        let event_id = decode(event_id.trim_end_matches('/')).map_err(|_| unknown())?;
        let (parts, body) = request.into_parts();
        // As it was called from outside, whatever stands between: the workflow is shown the URL that it has given away.
        let mut url = base.url(&run_id, &event_id);
        url.set_query(parts.uri.query());
        let host = match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (host, _) => host.unwrap_or_default().to_owned(),
        };
        let call = WebhookCall {
            method: parts.method,
            headers: parts.headers,
            proto: url.scheme().to_owned(),
            host,
            url: url[url::Position::BeforePath..].to_owned(),
            body,
        };
        self.call_webhook(&run_id, &event_id, call).await
    }
}

fn answer(status: u16, body: &serde_json::Value) -> http::Response<Bytes> {
    let mut response = http::Response::new(Bytes::from(body.to_string()));
    *response.status_mut() =
        http::StatusCode::from_u16(status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    response
}

/// Whether an entry records that a webhook was made.
fn creates(entry: &Entry, event_id: &str) -> bool {
    // Most entries are told apart without reading them as JSON.
    let holds = |text: &[u8]| entry.data.windows(text.len()).any(|part| part == text);
    if entry.is_init() || !holds(b"CreateWebhook") || !holds(event_id.as_bytes()) {
        return false;
    }
    let Ok(step) = serde_json::from_slice::<Step>(&entry.data) else { return false };
    step.step_type == StepType::CreateWebhook
        && step
            .out
            .and_then(|out| serde_json::from_str::<Webhook>(&out).ok())
            .is_some_and(|webhook| webhook.event_id == event_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webhook_is_below_the_address_that_was_given() {
        for base in ["https://shop.example/hooks", "https://shop.example/hooks/"] {
            let webhook = WebhookBase::new(base).unwrap().create("wfr_a/b");
            assert!(webhook.event_id.starts_with("evt_") && webhook.event_id.len() == 19, "{webhook:?}");
            let expected = format!("https://shop.example/hooks/wfr_a%2Fb/{}", webhook.event_id);
            assert_eq!(webhook.webhook_url, expected);
        }
    }

    #[test]
    fn an_address_that_nobody_can_call_is_refused() {
        for bad in ["/hooks", "shop.example/hooks", "ftp://a/", "https://a/?x=1", "https://a/#b", ""] {
            let error = WebhookBase::new(bad).unwrap_err();
            assert!(error.to_string().contains("https://shop.example/hooks"), "{error}");
        }
    }
}
