//! The rows that a store keeps.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use workflow::{
    FlowControl,
    client::{RedactHeaders, RunState},
    engine::RunInfo,
    protocol::Step,
};

use super::{FailureTarget, Stored};

/// A run's key inside the store: a small integer, so that every index that holds it stays small and grows at its end.
pub type RunKey = i64;

/// A run to be added.
#[derive(Clone, Debug)]
pub struct NewRun {
    /// Public id (`wfr_…`).
    pub id: String,
    /// Creation time, in milliseconds since the Unix epoch.
    pub created_at: i64,
    /// URL of the workflow; a path where the app of this process serves it.
    pub url: String,
    /// What it was triggered with.
    pub config: RunConfig,
}

/// A run.
#[derive(Clone, Debug)]
pub struct Run {
    /// Key.
    pub key: RunKey,
    /// Public id (`wfr_…`).
    pub id: String,
    /// State.
    pub state: RunState,
    /// Creation time, in milliseconds since the Unix epoch.
    pub created_at: i64,
    /// End, in milliseconds since the Unix epoch.
    pub finished_at: Option<i64>,
    /// URL of the workflow; a path where the app of this process serves it.
    pub url: String,
    /// What it was triggered with.
    pub config: RunConfig,
    /// What it returned, as JSON, or why it failed.
    pub output: Option<String>,
    /// While parked: not to be called before (milliseconds since the Unix epoch).
    pub wake_at: i64,
}

impl Run {
    /// Whether it has not ended.
    pub fn is_active(&self) -> bool {
        self.state == RunState::RunStarted
    }

    /// Whether the app of this process serves it.
    pub fn is_in_process(&self) -> bool {
        self.url.starts_with('/')
    }

    /// What the handler of the run is told of it.
    pub fn into_info(self) -> RunInfo {
        RunInfo {
            retries: self.config.max_retries(),
            invoke_count: self.config.invoke_count,
            id: self.id,
            url: self.url,
            created_at: self.created_at,
            labels: self.config.labels,
        }
    }
}

/// What a run was triggered with, beside its payload; kept as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunConfig {
    /// Headers for every delivery: the user's own and, for endpoints over HTTP, those of the SDK.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// Content type of the payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Retries of a failed attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// Expression for the delay before a retry, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_delay: Option<String>,
    /// Labels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Whether listings hide the payload (`Upstash-Redact-Fields`).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub redact_payload: bool,
    /// Which headers listings hide (`Upstash-Redact-Fields`).
    #[serde(skip_serializing_if = "hides_no_header")]
    pub redact_headers: RedactHeaders,
    /// Limits that its deliveries share with others of the same key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow_control: Option<FlowControl>,
    /// IP address of whoever triggered it, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caller_ip: Option<String>,
    /// Feature set of the trigger message (protocol, section G.4).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<String>,
    /// Who is told if the run fails; nobody if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureTarget>,
    /// The run that has invoked it first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invoker: Option<RunKey>,
    /// How deep it is nested in invocations.
    #[serde(skip_serializing_if = "is_zero")]
    pub invoke_count: u32,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

fn hides_no_header(headers: &RedactHeaders) -> bool {
    *headers == RedactHeaders::None
}

impl RunConfig {
    /// Retries of a failed attempt before the run fails (protocol, section D.6).
    pub fn max_retries(&self) -> u32 {
        self.retries.unwrap_or(3)
    }

    /// Retries of telling that the run has failed.
    pub fn failure_retries(&self) -> u32 {
        self.failure.as_ref().and_then(|target| target.retries).unwrap_or(self.max_retries())
    }

    /// Expression for the delay before such a retry, in milliseconds.
    pub fn failure_retry_delay(&self) -> Option<&str> {
        let own = self.failure.as_ref().and_then(|target| target.retry_delay.as_deref());
        own.or(self.retry_delay.as_deref())
    }

    /// Limits that telling of the failure shares with other deliveries.
    pub fn failure_flow_control(&self) -> Option<&FlowControl> {
        let own = self.failure.as_ref().and_then(|target| target.flow_control.as_ref());
        own.or(self.flow_control.as_ref())
    }
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct RunEnd {
    /// The final state.
    pub state: RunState,
    /// When, in milliseconds since the Unix epoch.
    pub at: i64,
    /// What it returned, as JSON, or why it failed.
    pub output: Option<String>,
}

/// What an entry of a history is. At most one entry of a run has a given identity: the first writer wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The payload.
    Init,
    /// The announcement of a parallel step.
    Plan(u32),
    /// The result of a step.
    Result(u32),
    /// What a step has asked the engine to do: a [`StepRequest`](super::StepRequest). No workflow is called with it.
    Request(u32),
    /// The answer to the HTTP request of a step, for an endpoint over HTTP to read. It is told it, and never called with it.
    Answer(u32),
}

impl Identity {
    /// The integer that stands for it in an index.
    pub fn code(self) -> i64 {
        match self {
            Self::Init => 0,
            Self::Plan(step) => i64::from(step) * 2 + 1,
            Self::Result(step) => i64::from(step) * 2,
            Self::Request(step) => i64::from(step) * -2,
            Self::Answer(step) => i64::from(step) * -2 - 1,
        }
    }

    /// The identity that an integer stands for.
    pub fn of(code: i64) -> Self {
        let step = u32::try_from(code.unsigned_abs() / 2).unwrap_or(u32::MAX);
        match (code.signum(), code % 2 == 0) {
            (0, _) => Self::Init,
            (1, true) => Self::Result(step),
            (1, false) => Self::Plan(step),
            (_, true) => Self::Request(step),
            (_, false) => Self::Answer(step),
        }
    }
}

/// The outcome of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is the entry at this position now.
    At(i64),
    /// There was one of that identity already.
    Duplicate,
}

/// An entry of a run's history.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its position among all entries of the store; the message id is made of it.
    pub position: i64,
    /// Code of its identity.
    pub code: i64,
    /// When it was recorded, in milliseconds since the Unix epoch.
    pub at: i64,
    /// The payload (init), else the step object as JSON.
    pub data: Vec<u8>,
}

impl Entry {
    /// What it is.
    pub fn identity(&self) -> Identity {
        Identity::of(self.code)
    }

    /// Whether this is the payload.
    pub fn is_init(&self) -> bool {
        self.code == 0
    }

    /// The public id of the message that recorded it.
    pub fn message_id(&self) -> String {
        message_id(self.position)
    }
}

/// Reads a whole history: the payload, and the steps in the order in which they were recorded.
pub fn payload_and_steps(entries: Vec<Entry>) -> Stored<(Bytes, Vec<Step>)> {
    let mut payload = Bytes::new();
    let mut steps = Vec::with_capacity(entries.len());
    for entry in entries {
        if entry.is_init() {
            payload = entry.data.into();
        } else {
            steps.push(serde_json::from_slice(&entry.data)?);
        }
    }
    Ok((payload, steps))
}

/// The public id of the message at a position.
pub fn message_id(position: i64) -> String {
    format!("msg_{position}")
}

/// The position of the message with a public id; `None` if no message has such an id.
pub fn position_of(message_id: &str) -> Option<i64> {
    message_id.strip_prefix("msg_")?.parse().ok()
}

/// What a delivery is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DeliveryKind {
    /// The run goes on: its workflow is called.
    #[default]
    Run,
    /// A request that the engine makes for the run, to anybody.
    Call,
    /// The answer to such a request, told to a workflow over HTTP.
    CallResult,
    /// The run has failed, and somebody is told.
    Failure,
}

impl DeliveryKind {
    /// The integer that stands for it in a table.
    pub fn code(self) -> i64 {
        match self {
            Self::Run => 0,
            Self::Call => 1,
            Self::CallResult => 2,
            Self::Failure => 3,
        }
    }

    /// The kind that an integer stands for.
    pub fn of(code: i64) -> Option<Self> {
        [Self::Run, Self::Call, Self::CallResult, Self::Failure].into_iter().find(|kind| kind.code() == code)
    }
}

/// Something to be delivered to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its id; never used twice while the engine runs.
    pub id: i64,
    /// What it is.
    pub kind: DeliveryKind,
    /// The run.
    pub run: RunKey,
    /// The history entry that is delivered; 0 where the app of this process is called, which gets the whole history.
    pub position: i64,
    /// When it is due, in milliseconds since the Unix epoch.
    pub due: i64,
    /// Failed attempts so far.
    pub attempt: u32,
    /// The failed attempts as JSON (a list of [`workflow::client::StepError`]), or nothing.
    pub errors: Option<String>,
}

/// The largest ids in use.
#[derive(Clone, Copy, Debug, Default)]
pub struct LastIds {
    /// Of deliveries.
    pub delivery: i64,
    /// Of waiters.
    pub waiter: i64,
}

/// A step that waits for its result. All that a run can wait for is kept in this one form.
#[derive(Clone, Debug)]
pub struct Waiter {
    /// Its id; grows with time.
    pub id: i64,
    /// What it waits for.
    pub awaited: Awaited,
    /// The waiting run.
    pub run: RunKey,
    /// The step that waits.
    pub step_id: u32,
    /// Everything else.
    pub detail: WaiterDetail,
}

impl Waiter {
    /// The event that it waits for.
    pub fn event(&self) -> Option<&str> {
        match &self.awaited {
            Awaited::Event { id, .. } => Some(id),
            Awaited::Answer | Awaited::End(_) => None,
        }
    }

    /// When it times out, in milliseconds since the Unix epoch, if ever.
    pub fn deadline(&self) -> Option<i64> {
        match &self.awaited {
            Awaited::Event { deadline, .. } => Some(*deadline),
            Awaited::Answer | Awaited::End(_) => None,
        }
    }
}

/// What a step waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Awaited {
    /// An event, or a call of a webhook, which is an event as well.
    Event {
        /// Its id.
        id: String,
        /// When the wait times out, in milliseconds since the Unix epoch.
        deadline: i64,
    },
    /// The answer to an HTTP request that the engine makes.
    Answer,
    /// The end of another run.
    End(RunKey),
}

/// A notification that is stored for a run's next wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredNotification {
    /// The event's data or, for a call of a webhook, the request as JSON.
    pub data: Vec<u8>,
    /// Whether it is a call of a webhook.
    pub is_request: bool,
}

/// What a waiter remembers of its wait; kept as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WaiterDetail {
    /// The step to be resolved.
    pub step: workflow::protocol::Step,
    /// Headers of the wait request without credentials, as the API shows them; empty for a run of this process.
    #[serde(default, skip_serializing_if = "workflow::client::HeaderLists::is_empty")]
    pub headers: workflow::client::HeaderLists,
    /// Headers for the delivery of a timeout; empty for a run of this process.
    #[serde(default, skip_serializing_if = "workflow::client::HeaderLists::is_empty")]
    pub timeout_headers: workflow::client::HeaderLists,
}

impl WaiterDetail {
    /// That of a step which nobody sees from outside.
    pub fn of(step: Step) -> Self {
        Self { step, headers: Default::default(), timeout_headers: Default::default() }
    }
}

/// Failed attempts of one step of a run of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempts {
    /// The step that failed, or would have come next.
    pub step_id: u32,
    /// How often.
    pub count: u32,
    /// When the next attempt is due, in milliseconds since the Unix epoch.
    pub due: i64,
    /// The failed attempts as JSON (a list of [`workflow::client::StepError`]).
    pub errors: String,
    /// The step's name, where a step failed.
    pub step_name: Option<String>,
}

/// What was pinned or paused by hand for a flow-control key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pinned {
    /// Whether nothing may begin.
    pub paused: bool,
    /// How many may be under way at once, whatever they ask for.
    pub parallelism: Option<u32>,
    /// How many may begin in a period, whatever they ask for.
    pub rate: Option<u32>,
    /// The period of `rate`, in milliseconds.
    pub period: i64,
}
