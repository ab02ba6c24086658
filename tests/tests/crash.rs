//! kill -9 at random moments under load: nothing that was acknowledged is lost, no committed step runs again, every run ends.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    collections::{HashMap, HashSet},
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

use rand::{RngExt, SeedableRng, rngs::SmallRng};

const KILLS: u32 = 60;

#[test]
fn nothing_acknowledged_is_lost_and_no_committed_step_runs_again_when_the_process_is_killed() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("crash.db");
    let mut witness = Witness::default();
    for _ in 0..KILLS {
        let mut process = Process::start(&file, "load", witness.next_number());
        let lines = random.random_range(1..300);
        for line in process.lines.by_ref().take(lines) {
            witness.note(&line.unwrap());
        }
        process.child.kill().unwrap();
        // What it had said before it died.
        for line in process.lines.by_ref() {
            witness.note(&line.unwrap());
        }
        process.child.wait().unwrap();
    }
    let count = witness.next_number();
    let mut process = Process::start(&file, "settle", count);
    for line in process.lines.by_ref() {
        witness.note(&line.unwrap());
    }
    assert!(process.child.wait().unwrap().success());
    witness.judge(count);
    println!("{KILLS} kills, {count} pairs of runs, {} step bodies", witness.executions);
}

/// A run that has failed is in the dead letter queue and its failure is told, whenever the process dies; and a resumed run is one
/// new run, which does not run the recorded step again.
#[test]
fn no_failure_is_lost_or_resumed_twice_when_the_process_is_killed() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = SmallRng::seed_from_u64(seed);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("crash.db");
    let mut lines: Vec<String> = Vec::new();
    let mut next = 0;
    for _ in 0..KILLS / 2 {
        let mut process = Process::start(&file, "fail", next);
        let until = random.random_range(1..60);
        lines.extend(process.lines.by_ref().take(until).map(Result::unwrap));
        process.child.kill().unwrap();
        // What it had said before it died.
        lines.extend(process.lines.by_ref().map(Result::unwrap));
        process.child.wait().unwrap();
        let begun = lines.iter().filter_map(|line| line.strip_prefix("begin ")?.parse::<u64>().ok());
        next = begun.max().map_or(0, |last| last + 1);
    }
    let mut process = Process::start(&file, "told", next);
    lines.extend(process.lines.by_ref().map(Result::unwrap));
    assert!(process.child.wait().unwrap().success());
    assert_eq!(lines.last().map(String::as_str), Some("settled"));

    let said = |word: &str| -> Vec<Vec<&str>> {
        let words = lines.iter().map(|line| line.split(' ').collect::<Vec<_>>());
        words.filter(|words| words[0] == word).collect()
    };
    let failed: HashSet<&str> = said("failed").into_iter().map(|words| words[1]).collect();
    let told: HashSet<&str> = said("told").into_iter().map(|words| words[1]).collect();
    assert_eq!(failed, told, "each run that has failed was told, and no other");
    let triggered: HashSet<String> =
        said("triggered").into_iter().map(|words| format!("wfr_{}", words[1])).collect();
    assert!(triggered.iter().all(|run| failed.contains(run.as_str())));
    let absent: Vec<String> = said("absent").into_iter().map(|words| format!("wfr_{}", words[1])).collect();
    assert!(absent.iter().all(|run| !triggered.contains(run)), "an acknowledged trigger was lost");

    let resumed = said("resumed");
    let (from, to): (HashSet<&str>, HashSet<&str>) = resumed.iter().map(|words| (words[1], words[2])).unzip();
    assert!(!resumed.is_empty());
    assert_eq!((from.len(), to.len()), (resumed.len(), resumed.len()), "a run was resumed twice");
    assert!(to.iter().all(|run| failed.contains(run)), "an acknowledged new run was lost");
    let again: Vec<_> = said("step").into_iter().filter(|words| to.contains(words[1])).collect();
    assert!(again.is_empty(), "the recorded step ran again: {again:?}");
    // Runs that nobody knows of came of a resumption whose answer was lost: one for each kill at most.
    assert!(failed.len() <= next as usize + to.len() + KILLS as usize / 2);
}

struct Process {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(file: &Path, task: &str, number: u64) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_crash-child"))
            .arg(file)
            .args([task, &number.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Puts together what all the processes have said.
#[derive(Default)]
struct Witness {
    begun: Option<u64>,
    triggered: HashSet<String>,
    notified: HashSet<u64>,
    /// For each run: how far it has come, and which results it has seen of its earlier steps.
    progress: HashMap<String, (u32, Vec<String>)>,
    executed: HashMap<String, HashSet<String>>,
    ended: HashMap<String, (String, String)>,
    executions: u64,
    settled: bool,
}

impl Witness {
    fn next_number(&self) -> u64 {
        self.begun.map_or(0, |last| last + 1)
    }

    fn note(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["begin", number] => self.begun = self.begun.max(Some(number.parse().unwrap())),
            ["triggered", id] => {
                self.triggered.insert((*id).to_owned());
            }
            ["notified", number] => {
                self.notified.insert(number.parse().unwrap());
            }
            ["absent", id] => {
                assert!(!self.triggered.contains(*id), "the acknowledged trigger of {id} was lost")
            }
            ["step", run, step, execution, before] => self.stepped(run, step, execution, before),
            ["ended", id, state, output] => {
                self.ended.insert((*id).to_owned(), ((*state).to_owned(), (*output).to_owned()));
            }
            ["settled"] => self.settled = true,
            _ => panic!("the process said: {line}"),
        }
    }

    fn stepped(&mut self, run: &str, step: &str, execution: &str, before: &str) {
        self.executions += 1;
        let step: u32 = step.parse().unwrap();
        let before: Vec<String> =
            before.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        let (reached, seen) = self.progress.entry(run.to_owned()).or_default();
        assert!(
            step >= *reached,
            "{run}: step {step} ran again although step {reached} had begun after it was committed"
        );
        assert!(before.starts_with(seen), "{run}: step {step} saw {before:?}, an earlier one {seen:?}");
        (*reached, *seen) = (step, before);
        self.executed.entry(run.to_owned()).or_default().insert(execution.to_owned());
    }

    fn judge(&self, count: u64) {
        assert!(self.settled, "the last process did not settle everything");
        for number in 0..count {
            let (state, heard) = &self.ended[&format!("partner-{number}")];
            assert_eq!(state, "RunSuccess", "partner-{number}");
            assert_eq!(heard, r#"{"first":true,"second":false}"#, "partner-{number}");

            let (state, output) = &self.ended[&format!("leader-{number}")];
            assert_eq!(state, "RunSuccess", "leader-{number}");
            let used: Vec<String> = serde_json::from_str(output).unwrap();
            let run = format!("wfr_leader-{number}");
            assert_eq!(used.len(), 6, "{run}");
            assert!(
                used.starts_with(&self.progress[&run].1),
                "{run} used other results at its end than before"
            );
            let helper = format!("wfr_helper-{number}");
            for (position, result) in used.iter().enumerate() {
                let of = if position == 4 { &helper } else { &run };
                assert!(self.executed[of].contains(result), "{run} used a result that no step gave");
            }
        }
        assert!(self.executions >= count * 6);
        assert!(!self.notified.is_empty() && self.triggered.len() > self.notified.len());
    }
}
