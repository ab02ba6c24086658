//! The binary `workflow dev` in a process of its own.

use std::{
    collections::HashMap,
    path::PathBuf,
    process::{Command as StdCommand, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};
use workflow::{Client, engine::HttpEngine};

/// `workflow dev` on a free port, with a file of its own. It ends with the test.
pub struct DevServer {
    environment: HashMap<String, String>,
    _server: Child,
    _folder: TempDir,
}

impl DevServer {
    /// Builds the binary, starts it, and reads what it says that an app needs.
    ///
    /// # Panics
    /// If it does not build or does not start.
    pub async fn start() -> Self {
        let binary = tokio::task::spawn_blocking(binary).await.expect("the build does not panic");
        let folder = TempDir::new().expect("a temporary folder");
        let mut server = Command::new(binary)
            .args(["dev", "--port", "0"])
            .current_dir(folder.path())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(server.stdout.take().expect("its output is read")).lines();
        let mut environment = HashMap::new();
        while environment.len() < 4 {
            let line = lines.next_line().await.ok().flatten().expect("the server prints its environment");
            if let Some((name, value)) = line.split_once('=') {
                environment.insert(name.to_owned(), value.trim_matches('"').to_owned());
            }
        }
        assert!(folder.path().join("workflow-dev.db").exists());
        Self { environment, _server: server, _folder: folder }
    }

    /// The environment variables that it asks an app to set.
    pub fn environment(&self) -> Vec<(&str, &str)> {
        self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    /// One of them.
    ///
    /// # Panics
    /// If it did not name it.
    pub fn variable(&self, name: &str) -> &str {
        self.environment.get(name).expect("the server names it")
    }

    /// A client of it.
    ///
    /// # Panics
    /// If what it printed cannot be used.
    pub fn client(&self) -> Client {
        Client::new(self.variable("QSTASH_URL"), self.variable("QSTASH_TOKEN")).expect("a usable environment")
    }

    /// It as the engine of an app that is reached at `base_url` and verifies signatures.
    ///
    /// # Panics
    /// If what it printed cannot be used.
    pub fn engine(&self, base_url: &str) -> HttpEngine {
        HttpEngine::new(self.variable("QSTASH_URL"), self.variable("QSTASH_TOKEN"))
            .and_then(|engine| engine.base_url(base_url))
            .expect("a usable environment")
            .signing_keys(
                self.variable("QSTASH_CURRENT_SIGNING_KEY"),
                self.variable("QSTASH_NEXT_SIGNING_KEY"),
            )
    }
}

/// Builds the binary and says where it is.
fn binary() -> PathBuf {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments = ["--package", "workflow-server", "--bin", "workflow", "--message-format", "json"];
    let output = StdCommand::new(cargo)
        .args(["build", "--quiet"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "the binary does not build");
    let messages = String::from_utf8_lossy(&output.stdout).into_owned();
    let messages = messages.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut executables = messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
    executables.next().expect("cargo names the executable")
}
