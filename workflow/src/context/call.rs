//! Steps that make the engine send an HTTP request.

use std::{
    panic::Location,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, header::CONTENT_TYPE};
use serde::{Serialize, de::DeserializeOwned};

use super::{WorkflowContext, content::Content, exchange::Exchange, lazy::Lazy};
use crate::{
    Error, FlowControl,
    client::HeaderLists,
    engine::HttpCall,
    json,
    protocol::{CallOut, duration::MAX_DURATION},
    replay::{Claim, Fault, Work},
};

impl<P> WorkflowContext<P> {
    /// Lets the engine send an HTTP request to anybody, and gives what was answered. The workflow is not running meanwhile: an
    /// answer may take hours.
    ///
    /// It is a `GET` unless something else is said. Every answer is a result, whatever its status is; where nobody answered, it
    /// is one with the status 502 or, after the [timeout](CallStep::timeout), 504. The request is made at least once.
    ///
    /// ```
    /// # #[derive(serde::Deserialize)] struct Receipt { id: String }
    /// # async fn f(ctx: workflow::WorkflowContext<u64>) -> workflow::Result<String> {
    /// use std::time::Duration;
    ///
    /// let answer = ctx
    ///     .call("charge", "https://payments.example/charges")
    ///     .json(&serde_json::json!({ "cents": ctx.request_payload() }))
    ///     .header("authorization", "Bearer secret")
    ///     .timeout(Duration::from_secs(600))
    ///     .retries(2)
    ///     .await?;
    /// if !answer.is_success() {
    ///     return Err(workflow::Error::non_retryable(format!("not charged: {}", answer.status())));
    /// }
    /// let receipt: Receipt = answer.json()?;
    /// # Ok(receipt.id) }
    /// ```
    ///
    /// What the request holds (tokens, too) is kept by the engine until it is answered.
    ///
    /// # Errors
    ///
    /// When awaited: if the URL, a header or the body cannot be sent, or if the step is not awaited by the workflow function
    /// itself.
    #[track_caller]
    pub fn call(&self, name: impl Into<String>, url: impl Into<String>) -> CallStep<'_> {
        let call = HttpCall {
            url: url.into(),
            method: Method::GET,
            headers: Vec::new(),
            body: Bytes::new(),
            timeout: None,
            retries: 0,
            retry_delay: None,
            flow_control: None,
        };
        let request = Request { name: name.into(), call, mistake: None, location: Location::caller() };
        CallStep(Lazy::new(&self.invocation.exchange, request, |exchange, request| {
            Box::pin(perform(exchange, request))
        }))
    }
}

/// An HTTP request about to be sent by the engine, as a step. Made by [`WorkflowContext::call`].
#[must_use = "a step does nothing until it is awaited"]
pub struct CallStep<'a>(Lazy<'a, Request, CallResponse>);

struct Request {
    name: String,
    call: HttpCall,
    /// Why it cannot be sent.
    mistake: Option<Error>,
    location: &'static Location<'static>,
}

impl CallStep<'_> {
    /// Sets the method. With a body it is `POST` unless it is set.
    pub fn method(self, method: Method) -> Self {
        Self(self.0.set(|request| request.call.method = method))
    }

    /// Adds a header to the request. None of the run's own are added.
    pub fn header(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let (name, value) = (name.into(), value.into());
        Self(self.0.set(|request| {
            if HeaderName::try_from(name.as_str()).is_err() || HeaderValue::try_from(value.as_str()).is_err()
            {
                request.refuse(format!("the header `{name}` has a name or a value that HTTP does not allow"));
            }
            request.call.headers.push((name, value));
        }))
    }

    /// Sends this as JSON, by `POST` unless another method is set later.
    pub fn json<T: Serialize + ?Sized>(self, body: &T) -> Self {
        let encoded = serde_json::to_vec(body);
        Self(self.0.set(|request| match encoded {
            Ok(json) => request.send(json.into(), "application/json"),
            Err(error) => request.refuse(format!("the body cannot be turned into JSON: {error}")),
        }))
    }

    /// Sends this text or these bytes as they are, by `POST` unless another method is set later.
    pub fn body(self, body: impl Into<Bytes>, content_type: &str) -> Self {
        Self(self.0.set(|request| request.send(body.into(), content_type)))
    }

    /// How long one attempt may take; unless set, as long as the engine allows.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self(self.0.set(|request| request.call.timeout = Some(timeout.min(MAX_DURATION))))
    }

    /// How often the request is repeated when it was not answered with a status of 2xx; not at all unless set. What the last
    /// attempt has given is the result.
    pub fn retries(self, retries: u32) -> Self {
        Self(self.0.set(|request| request.call.retries = retries))
    }

    /// The delay before a retry in milliseconds, as an expression over `retried`; see
    /// [`TriggerRequest::retry_delay`](crate::client::TriggerRequest::retry_delay).
    pub fn retry_delay(self, expression: impl Into<String>) -> Self {
        let expression = expression.into();
        Self(self.0.set(|request| request.call.retry_delay = Some(expression)))
    }

    /// Limits that the request shares with others of the same key.
    pub fn flow_control(self, limits: FlowControl) -> Self {
        Self(self.0.set(|request| {
            if let Err(error) = limits.check() {
                request.refuse(error.to_string());
            }
            request.call.flow_control = Some(limits);
        }))
    }
}

impl Request {
    fn send(&mut self, body: Bytes, content_type: &str) {
        if self.call.method == Method::GET {
            self.call.method = Method::POST;
        }
        self.call.headers.retain(|(name, _)| !name.eq_ignore_ascii_case(CONTENT_TYPE.as_str()));
        self.call.headers.push((CONTENT_TYPE.as_str().to_owned(), content_type.to_owned()));
        self.call.body = body;
    }

    fn refuse(&mut self, why: String) {
        self.mistake.get_or_insert_with(|| {
            Error::non_retryable(format!(
                "the call `{}` ({}) cannot be made: {why}",
                self.name, self.location
            ))
        });
    }
}

impl Future for CallStep<'_> {
    type Output = crate::Result<CallResponse>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

async fn perform(exchange: &Exchange, mut request: Request) -> crate::Result<CallResponse> {
    if let Err(error) = url::Url::parse(&request.call.url) {
        request.refuse(format!("`{}` is no absolute URL ({error})", request.call.url));
    }
    let Request { name, call, mistake, location } = request;
    if let Some(mistake) = mistake {
        return Err(mistake);
    }
    let step = exchange.perform(Claim { name, work: Work::Call(Box::new(call)), location }).await?;
    match json::decode::<CallOut>(step.out.as_deref().unwrap_or_default().as_bytes()) {
        Ok(out) => {
            let content = Content { body: out.bytes(), headers: out.header };
            Ok(CallResponse { name: step.step_name, status: out.status, content })
        }
        Err(misfit) => exchange.fail(Fault::unfit::<CallResponse>(&step, location, misfit.to_string())).await,
    }
}

/// What an HTTP request of [`WorkflowContext::call`] was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallResponse {
    name: String,
    status: u16,
    content: Content,
}

impl CallResponse {
    /// The status: 200, 404, ….
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Whether the status is one of 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// All headers.
    pub fn headers(&self) -> &HeaderLists {
        &self.content.headers
    }

    /// The first value of a header, whatever the case of its name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.content.header(name)
    }

    /// The body as it came.
    pub fn body(&self) -> &Bytes {
        &self.content.body
    }

    /// The body as text. Bytes that are no UTF-8 become `\u{fffd}`.
    pub fn text(&self) -> String {
        self.content.text()
    }

    /// The body, decoded from JSON; an empty one as JSON's `null`.
    ///
    /// # Errors
    ///
    /// If it does not fit `T`. It is never retried, since the answer stays what it is; the message says where it does not fit
    /// and which status it came with.
    pub fn json<T: DeserializeOwned>(&self) -> crate::Result<T> {
        self.content.json(|misfit| {
            format!(
                "the answer to the call `{}` (status {}) does not fit `{}`: {misfit}",
                self.name,
                self.status,
                std::any::type_name::<T>()
            )
        })
    }
}
