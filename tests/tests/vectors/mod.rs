//! Recorded calls of the TypeScript client, as `tests/data` holds them.

#![allow(dead_code, reason = "each test file uses a part of this")]

use std::{collections::BTreeMap, path::PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// A call of the client.
#[derive(Debug, Deserialize)]
pub struct Vector {
    pub scenario: String,
    pub result: Value,
    pub exchanges: Vec<Exchange>,
}

/// A request that it made, and what it was answered.
#[derive(Debug, Deserialize)]
pub struct Exchange {
    pub request: Request,
    pub response: Response,
}

#[derive(Debug, Deserialize)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

#[derive(Debug, Deserialize)]
pub struct Response {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Vector {
    pub fn load(scenario: &str) -> Self {
        let text = std::fs::read_to_string(folder().join(format!("{scenario}.json"))).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{scenario}: {error}"))
    }

    /// A call of the Python client.
    pub fn load_python(scenario: &str) -> Self {
        Self::load(&format!("../client-py/{scenario}"))
    }

    /// What the client made of the answer.
    pub fn resolved(&self) -> &Value {
        &self.result["resolved"]
    }
}

impl Response {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// All recorded calls.
pub fn all() -> Vec<Vector> {
    let files = std::fs::read_dir(folder()).unwrap();
    let mut names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names.iter().filter_map(|name| name.strip_suffix(".json")).map(Vector::load).collect()
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data/client-ts")
}
