//! Calls of webhooks. A webhook is an event of the run that has made it, and a call of it a notification, which always looks
//! back.

use workflow::{client::HeaderLists, protocol::WebhookOut};

use super::{
    Command, Transaction,
    event::{Told, tell},
};
use crate::{
    error::EngineError,
    store::{Run, RunKey},
};

/// Calls a webhook.
pub struct CallWebhook {
    /// The run that has made it.
    pub run: RunKey,
    /// Its event.
    pub event: String,
    /// The request, as JSON.
    pub request: Vec<u8>,
}

impl Command for CallWebhook {
    /// Whether the run was still active.
    type Reply = bool;

    fn size(&self) -> usize {
        self.request.len()
    }

    fn apply(self, tx: &mut Transaction<'_>) -> Result<bool, EngineError> {
        let Some(run) = tx.store.run(self.run)?.filter(Run::is_active) else { return Ok(false) };
        tell(tx, run, &self.event, Told { data: &self.request, is_request: true })?;
        Ok(true)
    }
}

/// A notification without a request, for a wait that is one for a request (protocol, section I, decision 16).
pub(super) fn as_request(data: &[u8]) -> Vec<u8> {
    let request = WebhookOut {
        method: "POST".to_owned(),
        header: HeaderLists::new(),
        body: WebhookOut::encode_body(data),
        proto: "http".to_owned(),
        host: "localhost".to_owned(),
        url: "/".to_owned(),
    };
    // Strings alone, which are always JSON.
    serde_json::to_vec(&request).unwrap_or_default()
}
