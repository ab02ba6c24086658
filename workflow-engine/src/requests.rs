//! What the engine takes from endpoints over HTTP and shows them.

use serde::{Deserialize, Serialize};
use workflow::{client::HeaderLists, protocol::Step};

/// A request of an endpoint over HTTP to wait for an event (protocol, section B.5).
#[derive(Clone, Debug)]
pub struct WaitRequest {
    /// The waiting run.
    pub run_id: String,
    /// Headers of the request without credentials, for whoever lists the waiters.
    pub headers: HeaderLists,
    /// The body.
    pub body: WaitBody,
}

/// The body of a [`WaitRequest`].
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WaitBody {
    /// How long to wait at most: a duration such as `7d`.
    pub timeout: Option<String>,
    /// Headers for the delivery of the timeout.
    #[serde(default)]
    pub timeout_headers: HeaderLists,
    /// The step that waits.
    pub step: Step,
}

/// One entry of a run's history, as `GET /v2/workflows/runs/{id}` and deliveries show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryEntry {
    /// The message that recorded it.
    pub message_id: String,
    /// Base64 of the payload (first entry), else of the step object.
    pub body: String,
    /// `step`.
    pub call_type: String,
}
