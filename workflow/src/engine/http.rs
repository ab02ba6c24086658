//! An engine over HTTP: a server of ours, or the hosted service. Both speak the Upstash Workflow protocol.
//!
//! The engine delivers a run's history to the workflow's URL; the endpoint executes at most one new step, submits what
//! happened as a message, and ends. The engine then calls again with the longer history.

mod call;
mod invoke;
mod reporter;

use std::sync::Arc;

use ::http::{HeaderMap, header::CONTENT_TYPE};
use bytes::Bytes;

use self::reporter::HttpReporter;
use super::{Reply, ReportError, Reporter, RunInfo};
use crate::{
    Client, ClientError, WorkflowOptions,
    client::{
        Connection, FailureCallback, HttpTransport, Trigger, Triggered,
        message::{Init, MessageHeaders, set},
        request::{Request, segment},
        settings,
    },
    protocol::{
        Step,
        headers::{self, LABEL, is_passed_on},
        run_id::new_run_id,
        signature::{self, SignatureError},
    },
};

/// An engine over HTTP. Cheap to clone.
#[derive(Clone)]
pub struct HttpEngine {
    connection: Connection,
    base_url: Option<String>,
    keys: Option<Arc<SigningKeys>>,
    telemetry: bool,
    clock: Clock,
}

/// Gives milliseconds since the Unix epoch.
type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

struct SigningKeys {
    current: String,
    next: String,
}

/// The run that a delivery over HTTP belongs to.
#[derive(Clone, Debug, Default)]
pub struct HttpRun {
    /// The run. Its `url` is absolute: where the engine delivers to.
    pub info: RunInfo,
    /// Failed attempts of this delivery so far (`Upstash-Retried`).
    pub retried: u32,
}

impl HttpEngine {
    /// The engine at `url`, which does not sign its deliveries.
    ///
    /// # Errors
    /// [`ClientError::Configuration`] if the URL or the token cannot be used.
    pub fn new(url: &str, token: &str) -> Result<Self, ClientError> {
        Connection::new(url, token).map(Self::of)
    }

    fn of(connection: Connection) -> Self {
        Self { connection, base_url: None, keys: None, telemetry: true, clock: Arc::new(settings::now_ms) }
    }

    /// Accepts only deliveries that are signed with one of these keys.
    pub fn signing_keys(mut self, current: impl Into<String>, next: impl Into<String>) -> Self {
        self.keys = Some(Arc::new(SigningKeys { current: current.into(), next: next.into() }));
        self
    }

    /// Where the engine reaches this app, if that is not the address that requests come in with.
    ///
    /// # Errors
    /// [`ClientError::Configuration`] if it is not an absolute URL.
    pub fn base_url(mut self, url: &str) -> Result<Self, ClientError> {
        self.base_url = Some(settings::base_url(url, "the app's base URL")?);
        Ok(self)
    }

    /// Does not tell the engine which SDK sends its messages, in which version and on which platform.
    pub fn disable_telemetry(mut self) -> Self {
        self.telemetry = false;
        self
    }

    /// The clock by which signatures are checked, in milliseconds since the Unix epoch; the system's unless another is set. For
    /// tests, such as those that replay recorded deliveries.
    pub fn clock(mut self, now: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(now);
        self
    }

    /// The engine that the environment describes, if it names one: `QSTASH_TOKEN` and `QSTASH_URL`,
    /// `QSTASH_CURRENT_SIGNING_KEY` and `QSTASH_NEXT_SIGNING_KEY`, `UPSTASH_WORKFLOW_URL` as
    /// [base URL](Self::base_url), and `UPSTASH_DISABLE_TELEMETRY`, which [does that](Self::disable_telemetry) with any value.
    /// With `QSTASH_DEV=true` it is the development server, as for [`Client::from_env`](crate::Client::from_env), and its
    /// published signing keys.
    ///
    /// # Errors
    /// [`ClientError::Configuration`] if a value cannot be used or its companion is missing.
    pub fn from_env() -> Result<Option<Self>, ClientError> {
        let Some(connection) = Connection::from_env()? else { return Ok(None) };
        let mut engine = Self::of(connection);
        if settings::env("UPSTASH_DISABLE_TELEMETRY")?.is_some() {
            engine = engine.disable_telemetry();
        }
        if let Some(url) = settings::env("UPSTASH_WORKFLOW_URL")? {
            engine = engine.base_url(&url)?;
        }
        if settings::development_url()?.is_some() {
            let current = settings::DEVELOPMENT_CURRENT_SIGNING_KEY;
            return Ok(Some(engine.signing_keys(current, settings::DEVELOPMENT_NEXT_SIGNING_KEY)));
        }
        match (settings::env("QSTASH_CURRENT_SIGNING_KEY")?, settings::env("QSTASH_NEXT_SIGNING_KEY")?) {
            (None, None) => Ok(Some(engine)),
            (Some(current), Some(next)) => Ok(Some(engine.signing_keys(current, next))),
            _ => Err(ClientError::Configuration(
                "only one of QSTASH_CURRENT_SIGNING_KEY and QSTASH_NEXT_SIGNING_KEY is set; set both to verify \
                 deliveries, or none"
                    .to_owned(),
            )),
        }
    }

    /// A client of this engine.
    pub fn client(&self) -> Client {
        Client::with_transport(Arc::new(self.transport()))
    }

    /// Checks that a request comes from this engine. Everything is accepted while no signing keys are set.
    ///
    /// # Errors
    /// Why the request is not accepted.
    pub fn verify(&self, headers: &HeaderMap, body: &[u8]) -> Result<(), SignatureError> {
        let Some(keys) = &self.keys else { return Ok(()) };
        let jwt = headers.get(headers::SIGNATURE).ok_or(SignatureError::Missing)?;
        let jwt = jwt.to_str().map_err(|_| SignatureError::Malformed("it is not text".to_owned()))?;
        signature::verify(&keys.current, &keys.next, jwt, body, (self.clock)())
    }

    /// The absolute URL under which the engine reaches the workflow that got a request for `request_url`: under the base URL
    /// if there is one.
    ///
    /// # Errors
    /// [`ClientError::Configuration`] if there is none and `request_url` is only a path.
    pub fn workflow_url(&self, request_url: &str) -> Result<String, ClientError> {
        settings::absolute_url(self.base_url.as_deref(), request_url)
    }

    /// Takes the reports of one delivery to the engine.
    pub fn reporter(&self, run: HttpRun) -> Arc<dyn Reporter> {
        Arc::new(HttpReporter::new(self.clone(), run))
    }

    /// Submits the result of a call that the engine has made for a run.
    pub(crate) async fn submit_call_result(&self, run: HttpRun, step: Step) -> Result<Reply, ReportError> {
        HttpReporter::new(self.clone(), run).submit_alone(&step).await
    }

    /// The log of a run, as the bytes of a JSON array.
    pub(crate) async fn fetch_run(&self, run_id: &str) -> Result<Bytes, ClientError> {
        let path = format!("/v2/workflows/runs/{}", segment(run_id, "the run id")?);
        self.connection.send(Request::new(::http::Method::GET, path)).await
    }

    /// Starts a run of the workflow at the absolute `url` for a request that came to it directly: with that request's body,
    /// content type, label and own headers, and with the options of the workflow.
    ///
    /// # Errors
    /// As for [`Client::trigger`].
    pub async fn trigger_first(
        &self,
        url: &str,
        headers: &HeaderMap,
        body: Bytes,
        options: &WorkflowOptions,
    ) -> Result<Triggered, ClientError> {
        self.initiate(url, headers, body, options, None).await
    }

    /// Starts a run for a request that came to its workflow. Of a run with an id the engine knows already, but not what the
    /// endpoint understands.
    pub(crate) async fn initiate(
        &self,
        url: &str,
        headers: &HeaderMap,
        body: Bytes,
        options: &WorkflowOptions,
        run_id: Option<&str>,
    ) -> Result<Triggered, ClientError> {
        let text = |name| headers.get(name).and_then(|value: &::http::HeaderValue| value.to_str().ok());
        let labels =
            text(LABEL).unwrap_or_default().split(',').map(str::trim).filter(|label| !label.is_empty());
        let own = headers.iter().filter(|(name, _)| is_passed_on(name.as_str()) && *name != LABEL);
        let mut trigger = Trigger {
            url: url.to_owned(),
            body,
            content_type: text(CONTENT_TYPE.as_str()).map(str::to_owned),
            headers: own
                .map(|(name, value)| {
                    (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
                })
                .collect(),
            labels: labels.map(str::to_owned).collect(),
            failure: options.own_failure_callback(),
            ..Trigger::default()
        };
        options.complete(&mut trigger);
        let failure_url = (trigger.failure == FailureCallback::ToWorkflow).then_some(url);
        let new_id = new_run_id(settings::now_ms());
        let id = run_id.unwrap_or(&new_id);
        let mut init = Init::new(trigger, url.to_owned(), id, failure_url)?;
        if run_id.is_some() {
            set(&mut init.headers, headers::WORKFLOW_TRIGGER_BY_SDK, "true");
        }
        self.tell_sdk(&mut init.headers);
        let deduplicated = self.transport().send_init(init).await?;
        Ok(Triggered {
            workflow_run_id: id.to_owned(),
            deduplicated: deduplicated && run_id.is_some(),
            workflow_created_at: 0,
        })
    }

    /// Says in a message which SDK sends it, unless that is not wanted.
    fn tell_sdk(&self, message: &mut MessageHeaders) {
        if self.telemetry {
            set(message, headers::TELEMETRY_SDK, concat!("workflow-rs@v", env!("CARGO_PKG_VERSION")));
            let (os, processor) = (std::env::consts::OS, std::env::consts::ARCH);
            set(message, headers::TELEMETRY_RUNTIME, format_args!("rust@{processor}-{os}"));
        }
    }

    fn transport(&self) -> HttpTransport {
        HttpTransport::of(self.connection.clone(), self.base_url.clone())
    }
}

impl std::fmt::Debug for HttpEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpEngine")
            .field("url", &self.connection.url())
            .field("base_url", &self.base_url)
            .field("verifies", &self.keys.is_some())
            .finish_non_exhaustive()
    }
}
