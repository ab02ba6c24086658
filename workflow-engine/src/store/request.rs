//! What a step asks the engine to do, as the history keeps it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use workflow::{FlowControl, protocol::Step};

use super::RunKey;

/// What a step has asked the engine to do; kept as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum StepRequest {
    /// To make an HTTP request.
    Call(Box<CallRequest>),
    /// To run another workflow.
    Invoke {
        /// The step, without a result.
        step: Step,
        /// The run that was started for it, or was there already.
        child: RunKey,
    },
}

impl StepRequest {
    /// The step that asks, without a result.
    pub fn step(&self) -> &Step {
        match self {
            Self::Call(call) => &call.step,
            Self::Invoke { step, .. } => step,
        }
    }
}

/// An HTTP request that a step has asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallRequest {
    /// The step, without a result.
    pub step: Step,
    /// Whom to call.
    pub url: String,
    /// The method.
    pub method: String,
    /// All headers that the step gives.
    pub headers: Vec<(String, String)>,
    /// The body.
    #[serde(serialize_with = "to_base64", deserialize_with = "from_base64")]
    pub body: Vec<u8>,
    /// How long an attempt may take, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
    /// How often an attempt is repeated.
    #[serde(default)]
    pub retries: u32,
    /// Expression for the delay before a retry, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_delay: Option<String>,
    /// Limits that calls share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow_control: Option<FlowControl>,
    /// How the endpoint is told the answer, where it is not one of this process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<Callback>,
}

/// How an endpoint over HTTP is told what a call was answered (protocol, section A.7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Callback {
    /// Where.
    pub url: String,
    /// Headers for it beside those of the run.
    pub headers: Vec<(String, String)>,
    /// How often it is repeated, where that is not as often as any delivery of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retries: Option<u32>,
}

fn to_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map_err(D::Error::custom)
}
