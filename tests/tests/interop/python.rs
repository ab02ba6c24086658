//! The published Python packages, on FastAPI.

use std::{
    fs::File,
    io::{Write, stderr},
    path::{Path, PathBuf},
    process::{Command as StdCommand, Stdio},
};

use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    sync::Mutex,
};

/// Where the requirements and the endpoint are.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("python")
}

/// Where they are installed.
fn environment() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("python")
}

/// Whether the packages are installed; installs them if need be. Where Python is missing the test says so and is skipped, but
/// not in CI.
pub fn is_available() -> bool {
    let Err(reason) = install() else { return true };
    let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!ci, "the tests with the Python packages cannot run: {reason}");
    // Written past the test harness, which hides what a passing test prints.
    let _ = writeln!(stderr(), "SKIPPED: a test with the Python packages cannot run: {reason}");
    false
}

/// Installs exactly what `requirements.txt` names, once for all test processes.
fn install() -> Result<(), String> {
    run(StdCommand::new("python3").args([
        "-c",
        "import sys, venv; sys.exit(0 if sys.version_info >= (3, 10) else 'Python 3.10 is needed')",
    ]))?;
    let lock = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python.lock");
    let lock = File::create(lock).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;

    let wanted = std::fs::read(folder().join("requirements.txt")).map_err(|error| error.to_string())?;
    let stamp = environment().join("installed-for-tests");
    if std::fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    run(StdCommand::new("python3").args(["-m", "venv", "--clear"]).arg(environment()))?;
    run(StdCommand::new(environment().join("bin/pip"))
        .args(["install", "--quiet", "--disable-pip-version-check", "--requirement"])
        .arg(folder().join("requirements.txt")))?;
    std::fs::write(&stamp, wanted).map_err(|error| error.to_string())
}

fn run(command: &mut StdCommand) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("`{program}` does not start: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("`{program}` failed with {}: {}", output.status, String::from_utf8_lossy(&output.stderr)))
}

/// The endpoint in a process of its own, which ends with the test.
pub struct PythonEndpoint {
    lines: Mutex<Lines<BufReader<ChildStdout>>>,
    _child: Child,
}

impl PythonEndpoint {
    pub fn start(environment_variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(environment().join("bin/python"))
            .arg(folder().join("endpoint.py"))
            .envs(environment_variables.iter().copied())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { lines: Mutex::new(lines), _child: child }
    }

    /// The next line that it writes; the first one is its URL.
    pub async fn line(&self) -> String {
        self.lines.lock().await.next_line().await.unwrap().expect("the endpoint is still running")
    }
}
