//! Notifications of many: every waiter once, and nobody waits for a slow one.

use std::{collections::BTreeMap, time::Duration};

use workflow::client::{GroupKind, RunState, StepState};
use workflow_tests::{
    TestApp, Told, eventually,
    remote::Remote,
    script::{Outcome, received, run, wait},
};

/// 2b H.40: nobody waits.
#[tokio::test]
async fn a_broadcast_to_nobody_reaches_nobody_and_is_not_kept() {
    let app = TestApp::in_memory();
    assert_eq!(app.tell("e", "to nobody").await, []);
    let run_id = app.start([wait("e")]).await;
    assert_eq!(app.waiting("e", 1).await, [run_id.as_str()]);
    assert_eq!(app.tell("e", "to one").await, [Told::Delivered(run_id.clone())]);
    assert_eq!(app.outcomes(&run_id).await, [received("to one")]);
}

/// 2b H.40, H.42: ten thousand waiters in one call: each is in the answer once, in the order in which they came, and each goes
/// on once, also those that the process had no time for before it ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_to_ten_thousand_reaches_each_once() {
    const COUNT: usize = 10_000;
    let mut app = TestApp::on_file();
    let triggers = (0..COUNT).map(|_| app.client.trigger_url("/script", &[wait("e"), run("after")]));
    let started = app.client.trigger_many(triggers).await.unwrap();
    let mut runs: Vec<String> = started.into_iter().map(|started| started.workflow_run_id).collect();
    let waiting = app.waiting("e", COUNT).await;
    let told = app.tell("e", "all").await;
    assert_eq!(app.waiters("e").await, [] as [String; 0]);
    let delivered: Vec<Told> = waiting.iter().cloned().map(Told::Delivered).collect();
    assert_eq!(told, delivered, "in the order in which they have waited");
    app.crash().await;
    assert_eq!(app.tell("e", "nobody is left").await, []);
    let mut counts = BTreeMap::new();
    let done = app.start([wait("done")]).await;
    eventually("all have gone on", async || (app.probe.count("after") >= COUNT).then_some(())).await;
    for run_id in &runs {
        let outcomes = app.outcomes(run_id).await;
        assert_eq!(outcomes, [received("all"), Outcome::Ran]);
        *counts.entry(run_id.clone()).or_insert(0) += 1;
    }
    runs.sort();
    assert_eq!(counts.into_keys().collect::<Vec<_>>(), runs);
    app.tell_run(&done, "done", "").await.unwrap();
    app.engine.shutdown().await;
}

/// 2b H.41: whoever begins to wait during a broadcast is told or waits on: one of both, as the answer says.
#[tokio::test(flavor = "multi_thread")]
async fn a_waiter_that_joins_during_a_broadcast_is_in_or_out() {
    let app = TestApp::in_memory();
    for round in 0..20 {
        let event = format!("e{round}");
        let triggers = (0..20).map(|_| app.client.trigger_url("/script", &[wait(&event)]));
        let started = app.client.trigger_many(triggers).await.unwrap();
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        let told = app.tell(&event, "now").await;
        let waiting = app.waiting(&event, 20 - told.len()).await;
        for started in started {
            let run_id = started.workflow_run_id;
            let is_told = told.contains(&Told::Delivered(run_id.clone()));
            assert_ne!(is_told, waiting.contains(&run_id), "{run_id}");
            if is_told {
                assert_eq!(app.outcomes(&run_id).await, [received("now")]);
            }
        }
        app.client.cancel_all().await.unwrap();
    }
}

/// 2b H.40: one endpoint that never answers and one that always fails hold up neither another endpoint nor runs of this process.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_or_failing_endpoint_does_not_hold_up_the_others() {
    const EACH: usize = 10;
    let app = TestApp::on_file();
    let [slow, failing, good] = [
        Remote::start(&app.engine, "e").await,
        Remote::start(&app.engine, "e").await,
        Remote::start(&app.engine, "e").await,
    ];
    let mut runs = BTreeMap::new();
    for (manner, url) in [
        ("slow", slow.url("slow")),
        ("failing", failing.url("failing")),
        ("good", good.url("good")),
        ("here", "/script".to_owned()),
    ] {
        let triggers = (0..EACH).map(|_| app.client.trigger_url(url.clone(), &[wait("e")]));
        runs.insert(manner, app.client.trigger_many(triggers).await.unwrap());
    }
    app.waiting("e", 4 * EACH).await;
    let told = app.tell("e", "data").await;
    assert_eq!(told.len(), 4 * EACH);
    assert!(told.iter().all(|told| matches!(told, Told::Delivered(_))), "{told:?}");
    slow.probe.reached("slow", EACH).await;
    for run in &runs["good"] {
        assert_eq!(app.output::<String>(&run.workflow_run_id).await, "done");
    }
    for run in &runs["here"] {
        assert_eq!(app.outcomes(&run.workflow_run_id).await, [received("data")]);
    }
    for run in &runs["failing"] {
        let errors = app.failed(&run.workflow_run_id, 1).await;
        assert_eq!(errors[0].status, 500);
        let log = app.log(&run.workflow_run_id).await;
        assert_eq!(log.workflow_state, RunState::RunStarted);
        let next = log.steps.last().unwrap();
        assert_eq!((next.kind, next.steps[0].state), (GroupKind::Next, Some(StepState::StepRetry)));
    }
    // Its run is not lost: each failed delivery is made again, and after the last one the run has failed, with the reason.
    let doomed = &runs["failing"][0].workflow_run_id;
    for attempts in 2..=4 {
        app.advance(Duration::from_secs(3600));
        if attempts < 4 {
            app.failed(doomed, attempts).await;
        }
    }
    let log = app.ended(doomed).await;
    assert_eq!(log.workflow_state, RunState::RunFailed);
    assert!(log.dlq_id.is_some());
    for run in &runs["slow"] {
        assert_eq!(app.log(&run.workflow_run_id).await.workflow_state, RunState::RunStarted);
    }
    assert_eq!((slow.probe.count("slow"), good.probe.count("good")), (EACH, EACH));
    app.engine.shutdown_within(Duration::ZERO).await;
}
