//! What an app hears of its runs: through its hooks, and in its traces.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod support;

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use support::Recorder;
use tracing::instrument::WithSubscriber as _;
use workflow::{
    Error, Hooks, WorkflowContext,
    engine::{Failure, Mode, RunInfo},
    testing::ProducedStep,
    workflow,
};

#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn note(&self, note: String) {
        self.0.lock().unwrap().push(note);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Hooks for Notes {
    fn run_started(&self, run: &RunInfo) {
        self.note(format!("{} started", run.id));
    }

    fn before_step(&self, _run: &RunInfo, step: &ProducedStep, attempt: u32) {
        self.note(format!("before {} {}, attempt {attempt}", step.position, step.name));
    }

    fn after_step(&self, _run: &RunInfo, step: &ProducedStep, out: Option<&str>) {
        self.note(format!("after {} {}: {}", step.position, step.name, out.unwrap_or("-")));
    }

    fn attempt_failed(&self, _run: &RunInfo, failure: &Failure) {
        self.note(format!("failed {}: {}", failure.step_id, failure.message));
    }

    fn run_completed(&self, run: &RunInfo, output: Option<&str>) {
        self.note(format!("{} completed: {}", run.id, output.unwrap_or("-")));
    }
}

#[workflow]
async fn greet(ctx: WorkflowContext<String>) -> workflow::Result<String> {
    let name = ctx.request_payload();
    let greeting = ctx.run("greet", async || Ok(format!("hello {name}"))).await?;
    ctx.sleep("rest", Duration::from_secs(60)).await?;
    ctx.step("send").run(async || if ctx.attempt() == 1 { Err(Error::msg("busy")) } else { Ok(()) }).await?;
    Ok(greeting)
}

#[tokio::test]
async fn hooks_hear_what_happens_once() {
    let notes = Notes::default();
    let engine = Recorder::told(Mode::Continue, |handle| handle.hooks(notes.clone()));
    engine.deliver::<greet>("ada").await;
    assert_eq!(
        notes.take(),
        [
            "wfr_test started",
            "before 1 greet, attempt 1",
            "after 1 greet: \"hello ada\"",
            "before 2 rest, attempt 1",
        ]
    );
    engine.pass(60_000);
    engine.deliver::<greet>("ada").await;
    assert_eq!(notes.take(), ["before 3 send, attempt 1", "failed 3: busy"]);
    engine.pass(60_000);
    engine.deliver::<greet>("ada").await;
    assert_eq!(
        notes.take(),
        ["before 3 send, attempt 2", "after 3 send: null", "wfr_test completed: \"hello ada\""]
    );
}

#[tokio::test]
async fn hooks_hear_the_same_where_every_step_is_an_invocation() {
    let notes = Notes::default();
    let engine = Recorder::told(Mode::Suspend, |handle| handle.hooks(notes.clone()));
    engine.deliver_each::<double>("2").await;
    assert_eq!(
        notes.take(),
        [
            "wfr_test started",
            "before 1 first, attempt 1",
            "after 1 first: 4",
            "before 2 second, attempt 1",
            "after 2 second: 8",
            "wfr_test completed: 8",
        ]
    );
}

#[workflow]
async fn double(ctx: WorkflowContext<u32>) -> workflow::Result<u32> {
    let first = ctx.run("first", async || Ok(ctx.request_payload() * 2)).await?;
    tracing::info!("after the first");
    ctx.run("second", async || {
        tracing::info!("in the second");
        Ok(first * 2)
    })
    .await
}

struct Panics;

impl Hooks for Panics {
    fn before_step(&self, _run: &RunInfo, _step: &ProducedStep, _attempt: u32) {
        panic!("a hook stumbles")
    }
}

#[tokio::test]
async fn a_hook_that_panics_changes_nothing() {
    let engine = Recorder::told(Mode::Continue, |handle| handle.hooks(Panics));
    engine.deliver::<double>("2").await;
    assert_eq!(engine.output().unwrap(), 8);
}

impl Write for Notes {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.note(String::from_utf8_lossy(text).trim().to_owned());
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[workflow]
async fn speaks(ctx: WorkflowContext<()>) -> workflow::Result<()> {
    tracing::info!("begins");
    for round in 1..=2 {
        ctx.run("work", async || {
            tracing::info!(round, "works");
            Ok(())
        })
        .await?;
        tracing::info!(round, "between");
    }
    let both = [1, 2].map(|n| {
        ctx.run(format!("side {n}"), async move || {
            tracing::info!(n, "side by side");
            Ok(())
        })
    });
    futures_util::future::try_join_all(both).await?;
    tracing::info!("ends");
    Ok(())
}

/// What is traced while a run is on its way, with the step that it is traced in.
async fn traced(mode: Mode) -> Vec<String> {
    let notes = Notes::default();
    let writer = notes.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(move || writer.clone())
        .without_time()
        .with_level(false)
        .with_target(false)
        .with_ansi(false)
        .finish();
    let engine = Recorder::new(mode);
    let run = async {
        match mode {
            Mode::Continue => drop(engine.deliver::<speaks>("").await),
            Mode::Suspend => engine.deliver_each::<speaks>("").await,
        }
    };
    run.with_subscriber(subscriber).await;
    notes.take()
}

#[tokio::test]
async fn what_is_traced_is_traced_once_however_often_it_is_replayed() {
    let workflow = "workflow{name=\"speaks\" run=wfr_test}:";
    let expected = [
        format!("{workflow} begins"),
        format!("{workflow}step{{name=\"work\" attempt=1}}: works round=1"),
        format!("{workflow} between round=1"),
        format!("{workflow}step{{name=\"work\" attempt=1}}: works round=2"),
        format!("{workflow} between round=2"),
        format!("{workflow}step{{name=\"side 1\" attempt=1}}: side by side n=1"),
        format!("{workflow}step{{name=\"side 2\" attempt=1}}: side by side n=2"),
        format!("{workflow} ends"),
    ];
    assert_eq!(traced(Mode::Continue).await, expected);
    assert_eq!(traced(Mode::Suspend).await, expected);
}
