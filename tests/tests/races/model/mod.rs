//! Random sequences of everything that can happen, against a small reference: after each thing, what everybody can see of the
//! engine is what the reference says.

mod action;
mod reference;
mod run;

use std::collections::BTreeMap;

use proptest::{prelude::*, test_runner::TestRunner};
use workflow::{
    ClientError,
    client::{GroupKind, LogQuery, RunLog, RunState},
    protocol::StepType,
};
use workflow_tests::{
    START, TestApp, eventually,
    script::{self, Op, Outcome, RETRY_DELAY, REVIVED},
    told,
};

use self::{
    action::{Action, EVENTS, Happening, happenings},
    reference::{Answer, Reference, World},
    run::Seen,
};

/// As many sequences are tried, unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 100;

/// Triggers, waits alone and side by side, sleeps, failing steps, children, notifications of all and of one, with and without
/// de-duplication ids, timeouts, cancellations, ends, failed runs that are resumed or restarted, and crashes at any moment: the answers of the engine, the states of the
/// runs, what they have received, who waits until when, and how often each body has run are those of the reference.
#[test]
fn the_engine_behaves_like_the_reference() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut config =
        ProptestConfig { source_file: Some(file!()), max_shrink_time: 120_000, ..ProptestConfig::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = CASES;
    }
    let tried = TestRunner::new(config).run(&happenings(), |happenings| {
        // A panic in a case is its failure.
        runtime.block_on(play(happenings));
        Ok(())
    });
    if let Err(failure) = tried {
        panic!("{failure}");
    }
}

async fn play(happenings: Vec<Happening>) {
    let mut player = Player { app: TestApp::on_file(), reference: Reference::new(START), is_exact: true };
    for (index, (action, crashes)) in happenings.into_iter().enumerate() {
        player.act(&action, index).await;
        if crashes {
            // What was running may run again.
            player.is_exact = false;
            player.crash().await;
        }
        player.compare(&action).await;
    }
    player.app.engine.shutdown().await;
}

struct Player {
    app: TestApp,
    reference: Reference,
    /// Whether every body has run as often as the reference says; else at least as often.
    is_exact: bool,
}

impl Player {
    async fn act(&mut self, action: &Action, index: usize) {
        let data = format!("data {index}");
        match action {
            Action::Trigger { id, delay, retries, ops } => {
                let ops = placed(ops, &self.reference.next_number().to_string());
                let mut request =
                    self.app.client.trigger_url(script::PATH, &ops).delay(*delay).retries(*retries);
                request = request.retry_delay(RETRY_DELAY.as_millis().to_string());
                if let Some(id) = id {
                    request = request.run_id(*id);
                }
                let triggered = request.await.unwrap();
                let expected = self.reference.trigger(&triggered.workflow_run_id, *delay, *retries, ops);
                assert_eq!(triggered.deduplicated, expected);
            }
            Action::Notify { event, known_as } => self.notify(None, event, &data, *known_as).await,
            Action::NotifyRun { run, event, known_as } => {
                if let Some(run) = self.reference.run_id(*run).map(str::to_owned) {
                    self.notify(Some(&run), event, &data, *known_as).await;
                }
            }
            Action::NotifyNobody { event } => self.notify(Some("wfr_nobody"), event, &data, None).await,
            Action::Advance(by) => {
                self.app.advance(*by);
                self.reference.advance(*by);
            }
            Action::Cancel(run) => {
                if let Some(run) = self.reference.run_id(*run).map(str::to_owned) {
                    assert_eq!(self.app.client.cancel_run(&run).await.unwrap(), self.reference.cancel(&run));
                }
            }
            Action::End(run) => {
                if let Some(run) = self.reference.run_id(*run).map(str::to_owned) {
                    let output = serde_json::Value::from(data);
                    self.app.engine.end_run(&run, None, false, output.to_string().into()).await.unwrap();
                    self.reference.end(&run, output);
                }
            }
            Action::Resume(run) => self.revive(*run, true).await,
            Action::Restart(run) => self.revive(*run, false).await,
            Action::Crash => self.crash().await,
            Action::CrashUnattached => {
                self.app.crash_unattached().await;
                self.reference.set_attached(false);
            }
            Action::Attach => {
                if !self.reference.is_attached() {
                    self.app.attach();
                    self.reference.set_attached(true);
                }
            }
        }
    }

    async fn revive(&mut self, run: usize, resume: bool) {
        let Some(failed) = self.reference.queued(run).map(str::to_owned) else { return };
        let letter = self.app.log(&failed).await.dlq_id.unwrap();
        let dlq = self.app.client.dlq();
        let revival = if resume { dlq.resume(letter) } else { dlq.restart(letter) };
        let revived = revival.label(REVIVED).await.unwrap().workflow_runs.remove(0);
        self.reference.revive(&failed, &revived.workflow_run_id, resume);
    }

    async fn crash(&mut self) {
        self.app.crash_unattached().await;
        if self.reference.is_attached() {
            self.app.attach();
        }
    }

    async fn notify(&mut self, run: Option<&str>, event: &str, data: &str, known_as: Option<&str>) {
        let mut request = self.app.client.notify(event, data);
        if let Some(run) = run {
            request = request.run_id(run);
        }
        if let Some(id) = known_as {
            request = request.deduplication_id(id);
        }
        let answer = match request.await {
            Ok(notified) => {
                let is_known = notified.iter().any(|notified| notified.deduplicated);
                let mut told: Vec<_> = notified.iter().map(told).collect();
                told.sort();
                Answer::Told(told, is_known)
            }
            Err(ClientError::Refused { status, .. }) => Answer::Refused(status),
            Err(other) => panic!("{other}"),
        };
        let expected = match self.reference.notify(run, event, data, known_as) {
            // There is nothing in an empty answer that could be marked as known.
            Answer::Told(told, is_known) => {
                let is_known = is_known && !told.is_empty();
                Answer::Told(told, is_known)
            }
            refused => refused,
        };
        assert_eq!(answer, expected, "{run:?} is notified of {event}");
    }

    /// Waits until the engine shows what the reference says.
    async fn compare(&self, action: &Action) {
        let expected = self.reference.world(&EVENTS);
        let mut last = None;
        let agree = eventually("the engine and the reference agree", async || {
            let mut world = self.world(&expected).await;
            if !self.is_exact {
                for (place, count) in &mut world.executions {
                    *count = (*count).min(expected.executions[place]);
                }
            }
            let agree = world == expected;
            last = Some(world);
            agree.then_some(())
        });
        if tokio::time::timeout(std::time::Duration::from_secs(20), agree).await.is_err() {
            panic!("after {action:?}: expected {expected:#?}\nfound {last:#?}");
        }
    }

    async fn world(&self, expected: &World) -> World {
        let mut runs: Vec<Seen> = Vec::new();
        let mut cursor = None;
        loop {
            let query = LogQuery { cursor, ..LogQuery::default() };
            let page = self.app.client.logs(query).await.unwrap();
            runs.extend(page.runs.iter().map(seen));
            match page.cursor {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        runs.reverse();
        runs.sort_by(|one, other| one.id.cmp(&other.id));
        let mut waiters = BTreeMap::new();
        for event in EVENTS {
            let all = self.app.client.get_waiters(event).await.unwrap();
            let mut all: Vec<_> =
                all.iter().map(|waiter| (waiter.run_id().unwrap().to_owned(), waiter.deadline)).collect();
            all.sort();
            waiters.insert(event.to_owned(), all);
        }
        let places = expected.executions.keys();
        let executions = places.map(|place| (place.clone(), self.app.probe.count(place))).collect();
        World { runs, waiters, executions }
    }
}

/// Gives every body a place of its own, every notification data of its own, and every child an id of its own.
fn placed(ops: &[Op], run: &str) -> Vec<Op> {
    let place = |op: &Op, name: String| match op {
        Op::Flaky(_, failures) => Op::Flaky(name, *failures),
        Op::NotifySelf(event, _) => Op::NotifySelf(event.clone(), name),
        Op::Invoke(_, ops) => Op::Invoke(name.clone(), placed(ops, &name)),
        other => other.clone(),
    };
    let all = ops.iter().enumerate().map(|(index, op)| match op {
        Op::Together(ops) => {
            let ops = ops.iter().enumerate();
            Op::Together(ops.map(|(member, op)| place(op, format!("{run}.{index}.{member}"))).collect())
        }
        alone => place(alone, format!("{run}.{index}")),
    });
    all.collect()
}

fn seen(log: &RunLog) -> Seen {
    assert_eq!(log.workflow_run_completed_at.is_none(), log.workflow_state == RunState::RunStarted);
    let (next, recorded): (Vec<_>, Vec<_>) =
        log.steps.iter().partition(|group| group.kind == GroupKind::Next);
    let recorded: Vec<_> = recorded.into_iter().flat_map(|group| &group.steps).skip(1).collect();
    let next: Vec<_> = next.into_iter().flat_map(|group| &group.steps).collect();
    let resolved = recorded.iter().filter(|step| step.step_type == Some(StepType::Wait));
    let failed = next.iter().filter(|step| !step.errors.is_empty());
    let mut due: Vec<_> = failed.clone().filter_map(|step| step.next_delivery_time).collect();
    due.sort_unstable();
    let outcome = |step: &workflow::client::StepLog| match step.wait_timeout {
        Some(true) => Outcome::TimedOut,
        _ => Outcome::Received(serde_json::from_str(step.out.as_deref().unwrap()).unwrap()),
    };
    Seen {
        id: log.workflow_run_id.clone(),
        state: log.workflow_state,
        queued: log.dlq_id.is_some(),
        output: log.workflow_run_response.as_deref().map(|json| serde_json::from_str(json).unwrap()),
        waits: resolved.map(|step| (step.step_id.unwrap(), outcome(step))).collect(),
        recorded: recorded.len(),
        failed: failed.map(|step| step.errors.len()).sum(),
        due,
    }
}
