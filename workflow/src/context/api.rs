//! Calls of services that many workflows use, with their addresses and authentication filled in.

use std::marker::PhantomData;

use serde::Serialize;

use super::{CallStep, WorkflowContext};

impl<P> WorkflowContext<P> {
    /// Calls of well-known services. Each gives a [`CallStep`], whose options can be set as for any [`call`](Self::call).
    ///
    /// ```
    /// # async fn f(ctx: workflow::WorkflowContext<String>, openai_key: String) -> workflow::Result<String> {
    /// use serde_json::{Value, json};
    ///
    /// let question = json!({
    ///     "model": "gpt-4o",
    ///     "messages": [{ "role": "user", "content": ctx.request_payload() }],
    /// });
    /// let answer: Value = ctx.api().openai(openai_key).chat_completion("ask", &question).retries(2).await?.json()?;
    /// # Ok(answer["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned()) }
    /// ```
    pub fn api(&self) -> Api<'_, P> {
        Api { ctx: self }
    }
}

/// The services. Made by [`WorkflowContext::api`].
pub struct Api<'a, P> {
    ctx: &'a WorkflowContext<P>,
}

impl<'a, P> Api<'a, P> {
    /// OpenAI, or a service that speaks its API, with this API key.
    pub fn openai(self, api_key: impl AsRef<str>) -> Service<'a, P, OpenAi> {
        let headers = vec![("authorization", format!("Bearer {}", api_key.as_ref()))];
        Service::new(self.ctx, "https://api.openai.com", headers)
    }

    /// Anthropic, with this API key.
    pub fn anthropic(self, api_key: impl AsRef<str>) -> Service<'a, P, Anthropic> {
        let headers =
            vec![("x-api-key", api_key.as_ref().to_owned()), ("anthropic-version", "2023-06-01".to_owned())];
        Service::new(self.ctx, "https://api.anthropic.com", headers)
    }

    /// Resend, with this API key.
    pub fn resend(self, api_key: impl AsRef<str>) -> Service<'a, P, Resend> {
        let headers = vec![("authorization", format!("Bearer {}", api_key.as_ref()))];
        Service::new(self.ctx, "https://api.resend.com", headers)
    }
}

/// A service `S` about to be called.
pub struct Service<'a, P, S> {
    ctx: &'a WorkflowContext<P>,
    base_url: String,
    headers: Vec<(&'static str, String)>,
    service: PhantomData<S>,
}

/// OpenAI. See [`Api::openai`].
pub enum OpenAi {}
/// Anthropic. See [`Api::anthropic`].
pub enum Anthropic {}
/// Resend. See [`Api::resend`].
pub enum Resend {}

impl<'a, P, S> Service<'a, P, S> {
    fn new(ctx: &'a WorkflowContext<P>, base_url: &str, headers: Vec<(&'static str, String)>) -> Self {
        Self { ctx, base_url: base_url.to_owned(), headers, service: PhantomData }
    }

    /// Where the service is, if not at its usual address: the part of its URLs before the path of the operation.
    pub fn base_url(mut self, url: impl AsRef<str>) -> Self {
        self.base_url = url.as_ref().trim_end_matches('/').to_owned();
        self
    }

    #[track_caller]
    fn post<B: Serialize + ?Sized>(self, name: impl Into<String>, path: &str, body: &B) -> CallStep<'a> {
        let call = self.ctx.call(name, format!("{}{path}", self.base_url)).json(body);
        self.headers.into_iter().fold(call, |call, (name, value)| call.header(name, value))
    }
}

impl<'a, P> Service<'a, P, OpenAi> {
    /// `POST /v1/chat/completions` with this body.
    #[track_caller]
    pub fn chat_completion<B: Serialize + ?Sized>(self, name: impl Into<String>, body: &B) -> CallStep<'a> {
        self.post(name, "/v1/chat/completions", body)
    }
}

impl<'a, P> Service<'a, P, Anthropic> {
    /// `POST /v1/messages` with this body.
    #[track_caller]
    pub fn message<B: Serialize + ?Sized>(self, name: impl Into<String>, body: &B) -> CallStep<'a> {
        self.post(name, "/v1/messages", body)
    }
}

impl<'a, P> Service<'a, P, Resend> {
    /// `POST /emails` with this email.
    #[track_caller]
    pub fn email<B: Serialize + ?Sized>(self, name: impl Into<String>, email: &B) -> CallStep<'a> {
        self.post(name, "/emails", email)
    }

    /// `POST /emails/batch` with these emails.
    #[track_caller]
    pub fn emails<B: Serialize + ?Sized>(self, name: impl Into<String>, emails: &B) -> CallStep<'a> {
        self.post(name, "/emails/batch", emails)
    }
}
