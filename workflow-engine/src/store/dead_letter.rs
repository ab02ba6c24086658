//! Failed runs as a store keeps them: why each has failed, and what became of telling it.

use serde::{Deserialize, Serialize};
use workflow::{
    FlowControl,
    client::{CallbackState, RunState, StepError},
};

use super::{Reader, Run, RunKey, Stored};

/// Whom a run tells when it fails; kept as JSON with the rest of what it was triggered with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FailureTarget {
    /// An absolute URL, or a path of the app of this process; the workflow itself if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Headers for it; the workflow itself gets those of the run as well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// Retries of a failed attempt; the run's if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
    /// Expression for the delay before a retry, in milliseconds; the run's if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_delay: Option<String>,
    /// Limits that it shares with other deliveries; those of the run if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flow_control: Option<FlowControl>,
}

/// What failed a run; kept as JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FailedDelivery {
    /// The history entry whose delivery has failed; that of the payload for a run of this process.
    pub position: i64,
    /// The last answer or, for a run of this process, what would be answered over HTTP.
    pub answer: StepError,
    /// How often it was retried.
    pub retried: u32,
    /// How often it was to be retried at most.
    pub max_retries: u32,
    /// What else was to be delivered over HTTP.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pending: Vec<PendingDelivery>,
}

/// A delivery of a run over HTTP that the run's end has prevented.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingDelivery {
    /// The history entry.
    pub position: i64,
    /// When it was due, in milliseconds since the Unix epoch.
    pub due: i64,
}

/// What became of telling a failure; kept as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToldFailure {
    /// How far it is.
    pub state: CallbackState,
    /// Whom it tells: an absolute URL, or a path of the app of this process.
    pub url: String,
    /// The last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<StepError>,
    /// The attempts that have failed, once it has failed for good.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<StepError>,
}

/// A run that has failed, to be added.
#[derive(Clone, Debug)]
pub struct NewDeadLetter {
    /// The run.
    pub run: RunKey,
    /// When it failed, in milliseconds since the Unix epoch.
    pub at: i64,
    /// Why.
    pub reason: String,
    /// What failed it.
    pub failed: FailedDelivery,
    /// Who is told, if anybody.
    pub callback: Option<ToldFailure>,
}

/// A run that has failed. It stays on record when it is taken out of the dead letter queue.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// Its number.
    pub number: i64,
    /// The run.
    pub run: RunKey,
    /// When the run failed, in milliseconds since the Unix epoch.
    pub at: i64,
    /// Why.
    pub reason: String,
    /// What failed it.
    pub failed: FailedDelivery,
    /// What became of telling it, if anybody is told.
    pub callback: Option<ToldFailure>,
    /// Whether it is still in the dead letter queue: neither deleted, nor resumed, nor restarted.
    pub is_queued: bool,
    /// Where the run was resumed: the one that goes on for it.
    pub successor: Option<RunKey>,
}

/// The newest run of a public id or, where that was resumed, the one that goes on for it.
pub fn run_or_successor(reader: &dyn Reader, id: &str) -> Stored<Option<Run>> {
    let mut found = reader.run_by_id(id)?;
    while let Some(run) = found.as_ref().filter(|run| run.state == RunState::RunFailed) {
        let Some(successor) = reader.dead_letter(run.key)?.and_then(|letter| letter.successor) else { break };
        found = reader.run(successor)?;
    }
    Ok(found)
}

impl DeadLetter {
    /// Its public id, in the shape of the hosted service.
    pub fn public_id(&self) -> String {
        format!("{}-{}", self.at, self.number)
    }

    /// The number in a public id.
    pub fn number_of(id: &str) -> Option<i64> {
        id.rsplit_once('-')?.1.parse().ok()
    }

    /// The public id of the message that tells of the failure.
    pub fn message_id(&self) -> String {
        format!("msg_failure_{}", self.number)
    }

    /// What happened, for people: the message of the answer, where it has one.
    pub fn message(&self) -> String {
        self.said("message").unwrap_or_else(|| match self.failed.answer.body.as_str() {
            "" => self.reason.clone(),
            body => body.to_owned(),
        })
    }

    /// A text of the answer, where it is JSON that has one of this name.
    pub fn said(&self, name: &str) -> Option<String> {
        let answer: serde_json::Value = serde_json::from_str(&self.failed.answer.body).ok()?;
        Some(answer.get(name)?.as_str()?.to_owned())
    }
}
