//! The published TypeScript packages, run by Node.

#![allow(dead_code, reason = "each test file uses a part of this")]

use std::{
    fs::File,
    io::{Write, stderr},
    path::{Path, PathBuf},
    process::{Command as StdCommand, Stdio},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::Mutex,
};

/// Where `package.json` and the scripts are.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("typescript")
}

/// Whether the packages are installed; installs them if need be. Where Node is missing the test says so and is skipped, but
/// not in CI.
pub fn is_available() -> bool {
    let Err(reason) = install() else { return true };
    let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!ci, "the tests with the TypeScript packages cannot run: {reason}");
    // Written past the test harness, which hides what a passing test prints.
    let _ = writeln!(stderr(), "SKIPPED: a test with the TypeScript packages cannot run: {reason}");
    false
}

/// Installs exactly what `package-lock.json` names, once for all test processes.
fn install() -> Result<(), String> {
    let node = output(StdCommand::new("node").arg("--version"))?;
    let major =
        node.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < 20) {
        return Err(format!("Node 20 or later is needed, and this is {}", node.trim()));
    }
    let folder = folder();
    let lock = Path::new(env!("CARGO_TARGET_TMPDIR")).join("typescript.lock");
    let lock = File::create(lock).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;

    let wanted = std::fs::read(folder.join("package-lock.json")).map_err(|error| error.to_string())?;
    let stamp = folder.join("node_modules/.installed-for-tests");
    if std::fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    output(StdCommand::new("npm").arg("ci").current_dir(&folder))?;
    std::fs::write(&stamp, wanted).map_err(|error| error.to_string())
}

fn output(command: &mut StdCommand) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("`{program}` does not start: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("`{program}` failed with {}: {}", output.status, String::from_utf8_lossy(&output.stderr)))
}

/// A script of `tests/typescript` in a process of its own, which ends with the test.
pub struct Script {
    io: Mutex<(ChildStdin, Lines<BufReader<ChildStdout>>)>,
    _child: Child,
}

impl Script {
    pub fn start(name: &str, environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new("node")
            .arg(folder().join(name))
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { io: Mutex::new((stdin, BufReader::new(stdout).lines())), _child: child }
    }

    /// The next line that it writes.
    pub async fn line(&self) -> String {
        let mut io = self.io.lock().await;
        io.1.next_line().await.unwrap().expect("the script is still running")
    }
}

/// The `Client` of `@upstash/workflow`.
pub struct TypeScriptClient(Script);

impl TypeScriptClient {
    pub fn new(url: &str, token: &str) -> Self {
        Self(Script::start("client.mjs", &[("ENGINE_URL", url), ("ENGINE_TOKEN", token)]))
    }

    /// Calls a method with one argument, and gives what it resolved to; or the error (`name`, `message`, `status`).
    pub async fn try_call(&self, method: &str, argument: Value) -> Result<Value, Value> {
        self.try_call_with(method, vec![argument]).await
    }

    /// As `try_call`, with any number of arguments. A method of `@upstash/qstash` is named with its path: `flowControl.pin`.
    pub async fn try_call_with(&self, method: &str, arguments: Vec<Value>) -> Result<Value, Value> {
        let mut io = self.0.io.lock().await;
        let call = format!("{}\n", json!({ "method": method, "arguments": arguments }));
        io.0.write_all(call.as_bytes()).await.unwrap();
        let answer = io.1.next_line().await.unwrap().expect("the script is still running");
        let mut answer: Value = serde_json::from_str(&answer).unwrap();
        match answer.get("rejected") {
            Some(error) => Err(error.clone()),
            None => Ok(answer["resolved"].take()),
        }
    }

    /// As `try_call`, for calls that must not fail.
    pub async fn call(&self, method: &str, argument: Value) -> Value {
        match self.try_call(method, argument.clone()).await {
            Ok(value) => value,
            Err(error) => panic!("client.{method}({argument}) failed: {error}"),
        }
    }
}
