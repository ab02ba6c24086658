//! Recorded traffic of TypeScript workflows, as `tests/data/endpoint-ts` holds it.

use std::{collections::BTreeMap, path::PathBuf};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::Value;

/// Where the endpoint of the recordings was.
const ENDPOINT: &str = "http://app.test";

/// A scenario: what the engine delivered, what the endpoint sent meanwhile, and what it answered.
#[derive(Debug, Deserialize)]
pub struct Recording {
    pub scenario: String,
    exchanges: Vec<Recorded>,
}

/// A request and its answer.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recorded {
    seq: u32,
    direction: String,
    during_delivery: Option<u32>,
    pub request: Request,
    pub response: Response,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Request {
    pub method: String,
    /// A URL on deliveries; path and query on requests to the engine.
    #[serde(alias = "path")]
    pub url: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Response {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// A delivery, and the requests that the endpoint made to the engine before it answered.
#[derive(Debug)]
pub struct Delivery {
    pub delivered: Recorded,
    pub nested: Vec<Recorded>,
}

impl Recording {
    /// The deliveries in the order in which they were made.
    pub fn deliveries(&self) -> Vec<Delivery> {
        let deliveries = self.exchanges.iter().filter(|exchange| {
            exchange.direction == "engine->endpoint" && exchange.request.url.starts_with(ENDPOINT)
        });
        deliveries
            .map(|delivered| Delivery {
                nested: self
                    .exchanges
                    .iter()
                    .filter(|exchange| exchange.during_delivery == Some(delivered.seq))
                    .cloned()
                    .collect(),
                delivered: delivered.clone(),
            })
            .collect()
    }
}

impl Request {
    /// The path and query of a delivery's URL.
    pub fn path(&self) -> &str {
        self.url
            .strip_prefix("http://app.test")
            .expect("the endpoint of the recordings is at http://app.test")
    }

    /// When its signature was made, in milliseconds since the Unix epoch.
    pub fn signed_at(&self) -> Option<i64> {
        let claims = self.headers.get("upstash-signature")?.split('.').nth(1)?;
        let claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        Some(claims["iat"].as_i64()? * 1000)
    }
}

/// All recordings.
pub fn all() -> Vec<Recording> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/endpoint-ts");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
        .iter()
        .map(|file| {
            let text = std::fs::read_to_string(file).unwrap();
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
        })
        .collect()
}
