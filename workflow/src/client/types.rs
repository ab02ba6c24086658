//! What a client sends and receives. The JSON shapes are those of the Upstash Workflow REST API.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{FailureFunctionLog, Redact};
use crate::{FlowControl, protocol::StepType};

/// A run to be started.
#[derive(Clone, Debug, Default)]
pub struct Trigger {
    /// Where the workflow is: an absolute URL or, on an embedded engine, a path of the attached app.
    pub url: String,
    /// The payload as raw bytes.
    pub body: Bytes,
    /// Content type of the payload; `application/json` if absent.
    pub content_type: Option<String>,
    /// The caller's own headers. They are on every delivery of the run.
    pub headers: Vec<(String, String)>,
    /// The run's id; `wfr_` is put before it unless it is there. One is made up if absent.
    pub run_id: Option<String>,
    /// How often a failed step is retried before the run fails; 3 if absent.
    pub retries: Option<u32>,
    /// Expression for the delay before a retry, in milliseconds, over the variable `retried`.
    pub retry_delay: Option<String>,
    /// Start this much later.
    pub delay: Option<Duration>,
    /// Start at this time (unix seconds); wins over `delay`.
    pub not_before: Option<i64>,
    /// Labels, to find runs by.
    pub labels: Vec<String>,
    /// Limits that the run shares with others.
    pub flow_control: Option<FlowControl>,
    /// Who is told if the run fails.
    pub failure: FailureCallback,
    /// What listings hide.
    pub redact: Redact,
}

/// Who is told that a run has failed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FailureCallback {
    /// The workflow itself, for its failure function. One that has none says so, and that is all.
    #[default]
    ToWorkflow,
    /// This URL: absolute or, on an embedded engine, a path of the app.
    To(String),
    /// Nobody.
    None,
}

/// The keys that an engine signs its deliveries with. There are two, so that they can be exchanged without a gap: deliveries are
/// signed with the current one, endpoints accept both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKeys {
    /// Signs deliveries.
    pub current: String,
    /// Becomes the current key at the next rotation.
    pub next: String,
}

/// The answer to a trigger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Triggered {
    /// The run's id.
    pub workflow_run_id: String,
    /// When it was created, in milliseconds since the Unix epoch. 0 where the engine does not say.
    #[serde(default)]
    pub workflow_created_at: i64,
    /// Whether an active run of that id existed already; it goes on, and nothing new was started.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deduplicated: bool,
}

/// A notification to be sent.
#[derive(Clone, Debug, Default)]
pub struct Notification {
    /// The event's id.
    pub event_id: String,
    /// The event's data as raw bytes: JSON or text; empty for none.
    pub data: Bytes,
    /// The one run to notify, with lookback; all waiters of the event if absent.
    pub run_id: Option<String>,
    /// A second notification with the same id is not delivered again.
    pub deduplication_id: Option<String>,
}

/// What became of a notification for one waiter or, with a run id, for that run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notified {
    /// The waiter that was notified; absent when the notification was stored for the run's next wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiter: Option<Waiter>,
    /// The message that resumes the waiter.
    #[serde(default)]
    pub message_id: String,
    /// Whether the same notification had been sent before.
    #[serde(default)]
    pub deduplicated: bool,
    /// Why it could not be delivered; empty if it was.
    #[serde(default)]
    pub error: String,
    /// The run that was notified.
    #[serde(default)]
    pub workflow_run_id: String,
    /// When that run was created, in milliseconds since the Unix epoch.
    #[serde(default)]
    pub workflow_created_at: i64,
}

/// Header names and their values, as the API writes them.
pub type HeaderLists = BTreeMap<String, Vec<String>>;

/// A run that waits for an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Waiter {
    /// URL of the waiting workflow.
    pub url: String,
    /// When the wait times out, in unix seconds.
    pub deadline: i64,
    /// Headers of the wait request. They always name the run (`Upstash-Workflow-Runid`) and never hold credentials.
    #[serde(default)]
    pub headers: HeaderLists,
    /// Where the timeout is delivered.
    #[serde(default)]
    pub timeout_url: String,
    /// Body of the timeout delivery; unused.
    #[serde(default)]
    pub timeout_body: Option<String>,
    /// Headers of the timeout delivery.
    #[serde(default)]
    pub timeout_headers: HeaderLists,
}

impl Waiter {
    /// The id of the waiting run.
    pub fn run_id(&self) -> Option<&str> {
        self.headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("upstash-workflow-runid"))
            .and_then(|(_, values)| values.first())
            .map(String::as_str)
    }
}

/// Which runs to cancel, or to list: each field narrows the selection; several values of one field mean any of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// These runs.
    pub run_ids: Vec<String>,
    /// These runs, each named by its id and when it was created (milliseconds since the Unix epoch). For listings only.
    pub runs: Vec<(String, i64)>,
    /// Runs of these workflows.
    pub workflow_urls: Vec<String>,
    /// Whether `workflow_urls` must match exactly; else they are prefixes.
    pub exact_url: bool,
    /// Runs of workflows at these hosts, such as `app.example` or, for one port of it, `app.example:3000`.
    pub hosts: Vec<String>,
    /// Runs of workflows at exactly these paths of any host.
    pub paths: Vec<String>,
    /// Runs with one of these labels.
    pub labels: Vec<String>,
    /// Runs that share the limits of one of these flow-control keys.
    pub flow_control_keys: Vec<String>,
    /// Runs that were triggered from one of these IP addresses.
    pub caller_ips: Vec<String>,
    /// Runs that one of these messages belongs to. For listings only.
    pub message_ids: Vec<String>,
    /// Runs in one of these states.
    pub states: Vec<RunState>,
    /// Runs created at or after this time (milliseconds since the Unix epoch).
    pub from: Option<i64>,
    /// Runs created at or before this time (milliseconds since the Unix epoch).
    pub to: Option<i64>,
    /// The run created at exactly this time (milliseconds since the Unix epoch); tells runs of one id apart.
    pub created_at: Option<i64>,
}

/// A page of runs to be listed, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// Which runs.
    pub filter: RunFilter,
    /// Continue after the page that ended with this cursor.
    pub cursor: Option<String>,
    /// At most this many runs; 10 if absent, and never more than 10.
    pub count: Option<u32>,
}

/// A page of runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LogPage {
    /// Where the next page begins; empty or absent on the last one.
    #[serde(default)]
    pub cursor: Option<String>,
    /// The runs, newest first.
    pub runs: Vec<RunLog>,
}

/// The state of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RunState {
    /// It has been triggered and has not ended.
    RunStarted,
    /// It has returned.
    RunSuccess,
    /// It has failed for good.
    RunFailed,
    /// It was cancelled.
    RunCanceled,
}

impl RunState {
    /// The state as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RunStarted => "RUN_STARTED",
            Self::RunSuccess => "RUN_SUCCESS",
            Self::RunFailed => "RUN_FAILED",
            Self::RunCanceled => "RUN_CANCELED",
        }
    }
}

/// A run and its steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunLog {
    /// The run's id.
    pub workflow_run_id: String,
    /// URL of the workflow.
    pub workflow_url: String,
    /// The run's state.
    pub workflow_state: RunState,
    /// When it was created, in milliseconds since the Unix epoch.
    pub workflow_run_created_at: i64,
    /// When it ended, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_run_completed_at: Option<i64>,
    /// What it returned, as JSON; absent for `()`. [`RunLog::response`] decodes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_run_response: Option<String>,
    /// The run that has invoked it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoker: Option<Invoker>,
    /// Its entry in the dead letter queue, if it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dlq_id: Option<String>,
    /// What became of its failure function, if it failed and has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_function: Option<FailureFunctionLog>,
    /// The first label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// All labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// The flow-control key whose limits it shares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow_control_key: Option<String>,
    /// The IP address that it was triggered from, where the engine knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow_run_caller_ip: Option<String>,
    /// Its steps in groups: the trigger first, then each step or parallel group, then what comes next.
    #[serde(default)]
    pub steps: Vec<StepGroup>,
}

/// A run that has invoked another one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Invoker {
    /// Its id.
    pub workflow_run_id: String,
    /// URL of its workflow.
    pub workflow_url: String,
    /// When it was created, in milliseconds since the Unix epoch.
    pub workflow_run_created_at: i64,
}

/// Steps that belong together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepGroup {
    /// How they belong together.
    #[serde(rename = "type")]
    pub kind: GroupKind,
    /// The steps.
    pub steps: Vec<StepLog>,
}

/// How the steps of a group belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupKind {
    /// One step.
    Sequential,
    /// Steps that run side by side.
    Parallel,
    /// Not recorded yet: running, or to be retried, or failed.
    Next,
}

/// The state of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StepState {
    /// It is running or waiting.
    StepProgress,
    /// It is recorded.
    StepSuccess,
    /// An attempt failed; another one is due.
    StepRetry,
    /// It has failed for good.
    StepFailed,
    /// The run was cancelled before it ended.
    StepCanceled,
}

/// One step in a listing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StepLog {
    /// Position of the step; absent where it is not recorded yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_id: Option<u32>,
    /// The user's name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_name: Option<String>,
    /// The kind of step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step_type: Option<StepType>,
    /// `step` for everything but calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_type: Option<String>,
    /// The message that recorded it.
    pub message_id: String,
    /// Its result.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out: Option<String>,
    /// How many steps its group has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent: Option<u32>,
    /// Its state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<StepState>,
    /// When it was recorded, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<i64>,
    /// The retry limit (recorded steps), or the retries so far (`next` group).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// The retry delay expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_delay: Option<String>,
    /// How long it sleeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sleep_for: Option<serde_json::Value>,
    /// Until when it sleeps, in unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sleep_until: Option<f64>,
    /// The event it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_event_id: Option<String>,
    /// When the wait times out, in unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_timeout_deadline: Option<i64>,
    /// Whether the wait timed out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_timeout: Option<bool>,
    /// Whom it calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_url: Option<String>,
    /// The method of the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_method: Option<String>,
    /// The headers of the call, without credentials.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub call_headers: HeaderLists,
    /// The body of the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_body: Option<String>,
    /// The status of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_response_status: Option<u16>,
    /// The body of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call_response_body: Option<String>,
    /// The headers of the answer.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub call_response_headers: HeaderLists,
    /// The run that it has invoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invoked_workflow_run_id: Option<String>,
    /// URL of the workflow that it has invoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invoked_workflow_url: Option<String>,
    /// When the invoked run was created, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invoked_workflow_created_at: Option<i64>,
    /// Failed attempts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<StepError>,
    /// When the next attempt is due, in milliseconds since the Unix epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_delivery_time: Option<i64>,
    /// Headers that the step was submitted with.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: HeaderLists,
}

/// One failed attempt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StepError {
    /// What went wrong, for people.
    pub error: String,
    /// The endpoint's answer.
    pub body: String,
    /// The endpoint's headers.
    pub headers: HeaderLists,
    /// The endpoint's status; 0 if there was no answer.
    pub status: u16,
    /// When it happened, in milliseconds since the Unix epoch.
    pub time: i64,
}
