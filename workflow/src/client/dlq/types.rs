//! What is asked of the dead letter queue, and what it shows (protocol, section C.6).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    FlowControl,
    client::{HeaderLists, StepError, Triggered},
};

/// Which failed runs: each field narrows the selection; several values of one field mean any of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DlqFilter {
    /// These runs.
    pub run_ids: Vec<String>,
    /// Runs of exactly this workflow.
    pub workflow_url: Option<String>,
    /// Runs with one of these labels.
    pub labels: Vec<String>,
    /// Runs that failed at or after this time (milliseconds since the Unix epoch).
    pub from: Option<i64>,
    /// Runs that failed at or before this time (milliseconds since the Unix epoch).
    pub to: Option<i64>,
    /// The run created at exactly this time (milliseconds since the Unix epoch); tells runs of one id apart.
    pub created_at: Option<i64>,
    /// Runs that failed by an answer with this status.
    pub response_status: Option<u16>,
    /// Runs whose failure function is in one of these states.
    pub failure_function: Vec<CallbackState>,
    /// Runs that shared the limits of this key.
    pub flow_control_key: Option<String>,
}

/// A page of failed runs to be listed, the last failure first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DlqQuery {
    /// Which.
    pub filter: DlqFilter,
    /// Continue after the page that ended with this cursor.
    pub cursor: Option<String>,
    /// At most this many; 100 if absent, and never more than 100.
    pub count: Option<u32>,
}

/// A page of the dead letter queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DlqPage {
    /// Where the next page begins; empty or absent on the last one.
    #[serde(default)]
    pub cursor: Option<String>,
    /// The failed runs, the last failure first.
    pub messages: Vec<DlqMessage>,
}

/// An entry of the dead letter queue: a run that has failed, the message that could not be delivered, and what its endpoint
/// answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DlqMessage {
    /// The id of the entry.
    pub dlq_id: String,
    /// The message that could not be delivered.
    pub message_id: String,
    /// Where it was to be delivered.
    pub url: String,
    /// By which method.
    pub method: String,
    /// Its headers, without those of the user, which may hold credentials.
    pub header: HeaderLists,
    /// The run's payload, if it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The run's payload in base64, if it is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_base64: Option<String>,
    /// How often a failed attempt was to be retried.
    pub max_retries: u32,
    /// When the run failed, in milliseconds since the Unix epoch.
    pub not_before: i64,
    /// When the run failed, in milliseconds since the Unix epoch.
    pub created_at: i64,
    /// Address of whoever triggered the run, where the engine keeps it.
    #[serde(rename = "callerIP")]
    pub caller_ip: String,
    /// The run's id.
    pub workflow_run_id: String,
    /// When the run was created, in milliseconds since the Unix epoch.
    pub workflow_created_at: i64,
    /// URL of the workflow.
    pub workflow_url: String,
    /// Status of the last answer; 0 where there was none.
    pub response_status: u16,
    /// Headers of the last answer.
    pub response_header: HeaderLists,
    /// Body of the last answer, if it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_body: Option<String>,
    /// Body of the last answer in base64, if it is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_body_base64: Option<String>,
    /// Who is told of the failure; absent where nobody is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_callback: Option<String>,
    /// What became of telling it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_callback_info: Option<FailureCallbackInfo>,
    /// The run's first label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// All labels of the run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Key of the limits that the run shared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow_control_key: Option<String>,
    /// How many of that key may begin in a period.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
    /// How many of that key may be under way at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallelism: Option<u32>,
    /// The period of the rate, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<u64>,
}

/// What became of telling somebody that a run has failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureCallbackInfo {
    /// How far it is.
    pub state: CallbackState,
    /// Status of the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_status: Option<u16>,
    /// Body of the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_body: Option<String>,
    /// Headers of the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_headers: Option<HeaderLists>,
}

/// How far the telling of a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CallbackState {
    /// It is being made, or will be tried again.
    #[serde(rename = "CALLBACK_INPROGRESS")]
    InProgress,
    /// It was answered with success.
    #[serde(rename = "CALLBACK_SUCCESS")]
    Success,
    /// Its last attempt has failed.
    #[serde(rename = "CALLBACK_FAIL")]
    Failed,
    /// It was cancelled.
    #[serde(rename = "CALLBACK_CANCELED")]
    Canceled,
}

impl CallbackState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::InProgress, Self::Success, Self::Failed, Self::Canceled];

    /// The state as the API writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InProgress => "CALLBACK_INPROGRESS",
            Self::Success => "CALLBACK_SUCCESS",
            Self::Failed => "CALLBACK_FAIL",
            Self::Canceled => "CALLBACK_CANCELED",
        }
    }
}

/// The failure function in a [`RunLog`](crate::client::RunLog): why the run failed, and what became of telling it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailureFunctionLog {
    /// The message that tells of the failure.
    pub message_id: String,
    /// Whom it tells.
    pub url: String,
    /// How far it is.
    pub state: CallbackState,
    /// Headers of the answer that failed the run.
    #[serde(default)]
    pub fail_headers: HeaderLists,
    /// Status of the answer that failed the run; 0 where there was none.
    #[serde(default)]
    pub fail_status: u16,
    /// What happened, for people.
    #[serde(default)]
    pub fail_response: String,
    /// The run's entry in the dead letter queue.
    #[serde(default)]
    pub dlq_id: String,
    /// Failed attempts of telling it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<StepError>,
    /// Body of the last answer to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_body: Option<String>,
    /// Headers of the last answer to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_headers: Option<HeaderLists>,
    /// Status of the last answer to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub response_status: Option<u16>,
    /// How often a failed attempt is retried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<u32>,
    /// When the next attempt is due, in milliseconds since the Unix epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_delivery_time: Option<i64>,
}

/// Entries of the dead letter queue to do something with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DlqSelection {
    /// These. What is not there any more is passed over.
    Ids(Vec<String>),
    /// Those that a query finds, at most 100 at once; the answer says where to go on.
    Found(DlqQuery),
}

/// What to do with failed runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revival {
    /// A new run for each, with the steps that have succeeded; it goes on at the one that failed.
    Resume,
    /// A new run for each, from the beginning.
    Restart,
}

/// What is to be different in the new runs. Whatever is absent stays as it was.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunChanges {
    /// How often a failed step is retried before the run fails.
    pub retries: Option<u32>,
    /// Expression for the delay before a retry, in milliseconds, over the variable `retried`.
    pub retry_delay: Option<String>,
    /// Limits that the run shares with others.
    pub flow_control: Option<FlowControl>,
    /// Labels, instead of those that there were; none means that they stay.
    pub labels: Vec<String>,
    /// Start this much later.
    pub delay: Option<Duration>,
    /// Who is told if the new run fails: an absolute URL or, on an embedded engine, a path of the app.
    pub failure_url: Option<String>,
}

/// The runs that came of failed ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RevivedRuns {
    /// Where to go on, if there are more that the query finds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The new runs.
    pub workflow_runs: Vec<Triggered>,
}

/// How many entries were deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedLetters {
    /// Where to go on, if there are more that the query finds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// How many.
    pub deleted: u64,
}
