//! What a run has recorded, as a value that can be kept in a file.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};

use crate::{
    endpoint::users_headers,
    engine::RunInfo,
    protocol::{HistoryError, Step, StepDelivery},
};

/// What a run has recorded: its payload and the results of its steps.
///
/// It comes from `Engine::export`, or as JSON from wherever the protocol shows a history: the answer to
/// `GET /v2/workflows/runs/{id}`, or the body of a delivery.
#[derive(Clone, Debug)]
pub struct History {
    pub(super) payload: Bytes,
    pub(super) steps: Vec<Step>,
    pub(super) run: RunInfo,
    pub(super) headers: HeaderMap,
}

impl History {
    /// The history of a run with this payload (raw bytes) and these entries, in the order in which they were recorded.
    pub fn new(payload: impl Into<Bytes>, steps: Vec<Step>) -> Self {
        Self {
            payload: payload.into(),
            steps,
            run: RunInfo { id: "wfr_replay".to_owned(), ..RunInfo::default() },
            headers: HeaderMap::new(),
        }
    }

    /// Reads a history as the protocol writes it: a JSON array of `{"messageId", "body", "callType"}` whose bodies are base64
    /// of, first, the payload and then steps.
    ///
    /// # Errors
    ///
    /// If it is none.
    pub fn from_json(json: impl AsRef<[u8]>) -> Result<Self, HistoryError> {
        let StepDelivery { payload, steps, .. } = StepDelivery::decode(json.as_ref())?;
        Ok(Self::new(payload, steps))
    }

    /// Writes payload and steps as the protocol does, for a file that [`from_json`](Self::from_json) reads. What
    /// [`with_run`](Self::with_run) and [`with_headers`](Self::with_headers) have set is not in it.
    pub fn to_json(&self) -> String {
        let entry = |(index, data): (usize, &[u8])| json!({"messageId": format!("msg_{index}"), "body": STANDARD.encode(data), "callType": "step"});
        let steps = self.steps.iter().map(|step| json!(step).to_string()).collect::<Vec<_>>();
        let bodies = std::iter::once(&*self.payload).chain(steps.iter().map(String::as_bytes));
        format!("{:#}", Value::Array(bodies.enumerate().map(entry).collect()))
    }

    /// What the context of the function says of its run, for workflows that ask for it: id, URL, labels, time of creation.
    #[must_use]
    pub fn with_run(mut self, run: RunInfo) -> Self {
        self.run = run;
        self
    }

    /// The headers that the run was triggered with, for workflows that ask for them. The engine's own are left out.
    #[must_use]
    pub fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers = users_headers(&headers);
        self
    }

    /// The payload, as raw bytes.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// The recorded steps, in the order in which they were recorded.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}
