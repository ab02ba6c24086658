//! The end of a run is a fence: what comes later changes nothing, and what was pending goes with the run.

use std::time::Duration;

use axum::{Router, extract::State, routing::post};
use bytes::Bytes;
use workflow::{
    ClientError, WorkflowContext,
    client::{GroupKind, RunFilter, RunLog, RunState},
    workflow,
};
use workflow_tests::{
    Probe, TestApp, Told, eventually,
    script::{Op, Outcome, flaky, hold, received, run, sleep, together, wait, wait_for},
};

const MINUTE: Duration = Duration::from_secs(60);

#[workflow]
async fn fail(ctx: WorkflowContext<()>) -> workflow::Result<()> {
    ctx.run("fail", async || Err(workflow::Error::non_retryable("for good"))).await
}

#[workflow]
async fn fail_beside_a_step(ctx: WorkflowContext<()>, State(probe): State<Probe>) -> workflow::Result<()> {
    let slow = ctx.run("slow", async || {
        probe.hold("slow").await;
        Ok(())
    });
    let failing = ctx.run::<(), _, _>("fail", async || {
        probe.reached("slow", 1).await;
        Err(workflow::Error::non_retryable("for good"))
    });
    tokio::try_join!(slow, failing)?;
    Ok(())
}

#[workflow]
async fn deaf(ctx: WorkflowContext<()>, State(probe): State<Probe>) -> workflow::Result<()> {
    ctx.run("deaf", async || {
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(probe.hold("deaf")));
        probe.pass("heard");
        Ok(())
    })
    .await?;
    ctx.run("after", async || Ok(probe.pass("after"))).await?;
    Ok(())
}

fn routes(router: Router<Probe>) -> Router<Probe> {
    router
        .route("/fail", post(workflow_axum::serve::<fail>()))
        .route("/fail-beside", post(workflow_axum::serve::<fail_beside_a_step>()))
}

/// Notifications of a run that has ended are refused by saying so, and are not kept for a later run of the same id.
async fn assert_is_a_fence(app: &TestApp, run_id: &str, state: RunState) {
    // That somebody is told of its failure is no change of the run.
    let log = async || RunLog { failure_function: None, ..app.ended(run_id).await };
    let before = log().await;
    assert_eq!(before.workflow_state, state);
    let refusal = app.tell_run(run_id, "e", "late").await.unwrap_err();
    assert!(matches!(refusal, ClientError::Refused { status: 404, .. }), "{refusal}");
    assert!(refusal.to_string().contains("has ended"), "{refusal}");
    assert!(!app.client.cancel_run(run_id).await.unwrap(), "there is nothing to be cancelled");
    app.advance(1000 * MINUTE);
    assert_eq!(app.waiters("e").await, [] as [String; 0]);
    assert_eq!(app.tell("e", "late").await, []);
    assert_eq!(log().await, before, "nothing has changed the run");

    let again = app.client.trigger_url("/script", &[wait("e")]).run_id(run_id).await.unwrap();
    assert!(!again.deduplicated);
    assert_eq!(
        app.waiting("e", 1).await,
        [run_id.to_owned()],
        "the next run of this id finds nothing of the last one"
    );
    assert_eq!(app.tell("e", "for the next").await, [Told::Delivered(run_id.to_owned())]);
    assert_eq!(app.outcomes(run_id).await, [received("for the next")]);
}

/// 2b F.28: finished.
#[tokio::test]
async fn a_finished_run_takes_nothing_more() {
    let app = TestApp::in_memory();
    let run_id = app.start([run("work")]).await;
    assert_is_a_fence(&app, &run_id, RunState::RunSuccess).await;
}

/// 2b F.28: failed. F.31: what was stored for it is not found by another run.
#[tokio::test]
async fn a_failed_run_takes_nothing_more() {
    let app = TestApp::in_memory_with(routes);
    let trigger = app.client.trigger_url("/fail", &()).delay(MINUTE);
    let run_id = trigger.await.unwrap().workflow_run_id;
    assert_eq!(app.tell_run(&run_id, "e", "unread").await.unwrap(), Told::Stored(run_id.clone()));
    app.advance(MINUTE);
    assert_is_a_fence(&app, &run_id, RunState::RunFailed).await;
}

/// 2b F.28, F.30: cancelled while it waits: nobody waits any more, nothing times out later.
#[tokio::test]
async fn a_run_that_is_cancelled_while_it_waits_leaves_no_waiter() {
    let app = TestApp::in_memory();
    let run_id = app.start([together([wait("e"), wait_for("e", MINUTE), wait("f"), sleep(MINUTE)])]).await;
    app.waiting("e", 2).await;
    app.waiting("f", 1).await;
    app.tell_run(&run_id, "unread", "stored").await.unwrap();
    assert!(app.client.cancel_run(&run_id).await.unwrap());
    assert_eq!(app.waiters("e").await, [] as [String; 0]);
    assert_eq!(app.waiters("f").await, [] as [String; 0]);
    assert_eq!(app.tell("f", "late").await, []);
    assert_is_a_fence(&app, &run_id, RunState::RunCanceled).await;
}

/// 2b F.28: ended from outside with a result, while a step is running.
#[tokio::test]
async fn a_run_that_is_ended_from_outside_takes_nothing_more() {
    let app = TestApp::in_memory();
    let run_id = app.start([hold("work"), run("after")]).await;
    app.probe.reached("work", 1).await;
    app.engine.end_run(&run_id, None, false, Bytes::from_static(b"[]")).await.unwrap();
    app.probe.left("work").await;
    assert_eq!(app.steps(&run_id).await, []);
    assert_eq!(app.outcomes(&run_id).await, []);
    assert_is_a_fence(&app, &run_id, RunState::RunSuccess).await;
    assert_eq!(app.probe.count("after"), 0);
}

/// 2b F.28: a run that never was.
#[tokio::test]
async fn an_unknown_run_takes_nothing() {
    let app = TestApp::in_memory();
    let refusal = app.tell_run("wfr_nobody", "e", "data").await.unwrap_err();
    assert!(matches!(refusal, ClientError::Refused { status: 404, .. }), "{refusal}");
    assert!(refusal.to_string().contains("there is no run `wfr_nobody`"), "{refusal}");
    assert!(!app.client.cancel_run("wfr_nobody").await.unwrap());
    assert_eq!(app.engine.end_run("wfr_nobody", None, true, Bytes::new()).await.unwrap_err().status(), 404);
    assert_eq!(app.engine.end_run("wfr_nobody", None, false, Bytes::new()).await.unwrap_err().status(), 404);
    assert_eq!(app.engine.history("wfr_nobody").await.unwrap_err().status(), 404);
}

/// 2b F.29: the run returns while it is being notified: the answer is one or the other, and the run succeeds in any case.
#[tokio::test(flavor = "multi_thread")]
async fn a_notification_at_the_very_end_of_a_run_is_stored_or_refused() {
    let app = TestApp::in_memory();
    for number in 0..200 {
        let run_id = app.start([run("last")]).await;
        for _ in 0..number % 40 {
            tokio::task::yield_now().await;
        }
        match app.tell_run(&run_id, "e", "now").await {
            Ok(told) => assert_eq!(told, Told::Stored(run_id.clone())),
            Err(ClientError::Refused { status: 404, .. }) => {}
            Err(other) => panic!("{other}"),
        }
        assert_eq!(app.outcomes(&run_id).await, [Outcome::Ran]);
    }
}

/// 2b F.30: a cancellation stops the step that is running: its future is dropped, and its result counts for nothing.
#[tokio::test]
async fn a_cancellation_stops_running_steps() {
    let app = TestApp::in_memory();
    let alone = app.start([hold("step"), run("after")]).await;
    let group = app.start([together([hold("step"), hold("step"), wait("e")]), run("after")]).await;
    let other = app.start([hold("other")]).await;
    app.probe.reached("step", 3).await;
    app.waiting("e", 1).await;
    let filter = RunFilter { run_ids: vec![alone.clone(), group.clone()], ..RunFilter::default() };
    assert_eq!(app.client.cancel(filter).await.unwrap(), 2);
    app.probe.left("step").await;
    app.probe.open("step");
    app.probe.open("other");
    assert_eq!(app.outcomes(&other).await, [Outcome::Ran], "another run goes on");
    for run_id in [alone, group] {
        assert_eq!(app.ended(&run_id).await.workflow_state, RunState::RunCanceled);
        assert_eq!(app.steps(&run_id).await, []);
    }
    assert_eq!(app.probe.count("after"), 0);
}

/// 2b F.30: cancelled before its first call, by its label: it is never called.
#[tokio::test]
async fn a_run_that_is_cancelled_before_it_starts_never_starts() {
    let app = TestApp::in_memory();
    let start = || app.client.trigger_url("/script", &[run("ran")]);
    let delayed = start().delay(MINUTE).label("unwanted").await.unwrap().workflow_run_id;
    let labelled = RunFilter { labels: vec!["unwanted".to_owned()], ..RunFilter::default() };
    assert_eq!(app.client.cancel(labelled.clone()).await.unwrap(), 1, "a delayed run counts");
    assert_eq!(app.client.cancel(labelled).await.unwrap(), 0);
    app.advance(MINUTE);
    let wanted = start().await.unwrap().workflow_run_id;
    app.ended(&wanted).await;
    assert_eq!(app.ended(&delayed).await.workflow_state, RunState::RunCanceled);
    assert_eq!(app.probe.count("ran"), 1);
}

/// 2b F.30: cancelled while it waits for its turn: the same.
#[tokio::test]
async fn a_run_that_is_cancelled_in_the_queue_never_starts() {
    let app = TestApp::unattached();
    let cancelled = app.start([run("cancelled")]).await;
    let wanted = app.start([run("wanted")]).await;
    assert!(app.client.cancel_run(&cancelled).await.unwrap());
    app.attach();
    app.outcomes(&wanted).await;
    app.engine.shutdown().await;
    assert_eq!(app.probe.count("cancelled"), 0);
}

/// 2b F.30: cancelled at the moment of its resumption: its next step is not begun, or stopped.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_cancelled_as_it_resumes_does_not_go_on() {
    let app = TestApp::on_file();
    for number in 0..200 {
        let run_id = app.start([wait("e"), hold("next"), run("after")]).await;
        app.waiting("e", 1).await;
        app.tell("e", "go on").await;
        for _ in 0..number % 20 {
            tokio::task::yield_now().await;
        }
        assert!(app.client.cancel_run(&run_id).await.unwrap());
    }
    // Everything that was under way has begun its step before one that comes later.
    let last = app.start([wait("e"), run("last")]).await;
    app.waiting("e", 1).await;
    app.tell("e", "go on").await;
    app.outcomes(&last).await;
    app.probe.left("next").await;
    assert_eq!(app.probe.count("after"), 0);
}

/// 2b F.30: thousands of runs in one cancellation.
#[tokio::test]
async fn all_of_many_waiting_runs_are_cancelled_at_once() {
    let app = TestApp::in_memory();
    let trigger =
        |number: u32| app.client.trigger_url("/script", &[wait("e")]).label(format!("odd-{}", number % 2));
    app.client.trigger_many((0..2500).map(trigger)).await.unwrap();
    app.waiting("e", 2500).await;
    let odd = RunFilter { labels: vec!["odd-1".to_owned()], ..RunFilter::default() };
    assert_eq!(app.client.cancel(odd.clone()).await.unwrap(), 1250);
    assert_eq!(app.client.cancel(odd).await.unwrap(), 0);
    assert_eq!(app.waiters("e").await.len(), 1250);
    assert_eq!(app.client.cancel_all().await.unwrap(), 1250);
    assert_eq!(app.waiters("e").await, [] as [String; 0]);
}

/// 2b F.33: a step that ends after its run has failed: it is stopped, and its result is not recorded.
#[tokio::test]
async fn a_step_beside_one_that_fails_the_run_is_stopped() {
    let app = TestApp::in_memory_with(routes);
    let run_id = app.client.trigger_url("/fail-beside", &()).await.unwrap().workflow_run_id;
    let log = app.failed_and_told(&run_id).await;
    app.probe.left("slow").await;
    app.probe.open("slow");
    assert_eq!(app.steps(&run_id).await, []);
    assert_eq!(app.log(&run_id).await, log);
}

/// 2b F.33: a step that no cancellation can stop, because it does not yield: its late result is refused, not recorded.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_late_result_of_a_step_that_cannot_be_stopped_is_not_recorded() {
    let mut app = TestApp::on_file_with(|router| router.route("/deaf", post(workflow_axum::serve::<deaf>())));
    let run_id = app.client.trigger_url("/deaf", &()).await.unwrap().workflow_run_id;
    app.probe.reached("deaf", 1).await;
    assert!(app.client.cancel_run(&run_id).await.unwrap());
    app.probe.open("deaf");
    app.probe.reached("heard", 1).await;
    // Waits until the handler has ended.
    app.engine.shutdown().await;
    app.reopen();
    assert_eq!(app.ended(&run_id).await.workflow_state, RunState::RunCanceled);
    assert_eq!(app.steps(&run_id).await, []);
    assert_eq!(app.probe.count("after"), 0);
}

/// A listing shows each run as it was at one moment, also while it ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_listed_as_it_was_at_one_moment() {
    let app = TestApp::on_file();
    for round in 0..100 {
        let last = if round % 2 == 0 { run("last") } else { flaky("last", 1) };
        let request = app.client.trigger_url("/script", &[run("first"), run("second"), last]).retries(0);
        let run_id = request.await.unwrap().workflow_run_id;
        loop {
            let log = app.log(&run_id).await;
            let recorded = log.steps.iter().filter(|group| group.kind != GroupKind::Next).count() - 1;
            let errors: usize =
                log.steps.iter().flat_map(|group| &group.steps).map(|step| step.errors.len()).sum();
            let state = log.workflow_state;
            assert_eq!(log.workflow_run_completed_at.is_some(), state != RunState::RunStarted, "{log:#?}");
            assert_eq!(log.dlq_id.is_some(), state == RunState::RunFailed, "{log:#?}");
            assert_eq!(errors, usize::from(state == RunState::RunFailed), "{log:#?}");
            match state {
                RunState::RunStarted => continue,
                RunState::RunSuccess => assert_eq!(recorded, 3),
                _ => assert_eq!(recorded, 2),
            }
            break;
        }
    }
}

/// 2b F.32: what a run has not read goes with it; what it has read before a failure is not read twice.
#[tokio::test]
async fn unread_notifications_end_with_their_run() {
    let app = TestApp::in_memory();
    let ops: Vec<Op> = vec![hold("busy"), wait("e")];
    let run_id = app.client.trigger_url("/script", &ops).run_id("reader").await.unwrap().workflow_run_id;
    for data in ["read", "unread"] {
        app.tell_run(&run_id, "e", data).await.unwrap();
    }
    app.probe.open("busy");
    assert_eq!(app.outcomes(&run_id).await, [Outcome::Ran, received("read")]);
    app.client.trigger_url("/script", &[wait_for("e", MINUTE)]).run_id("reader").await.unwrap();
    app.waiting("e", 1).await;
    app.advance(MINUTE);
    let outcomes =
        eventually("the second run ends", async || app.log(&run_id).await.workflow_run_response).await;
    assert_eq!(outcomes, serde_json::to_string(&[Outcome::TimedOut]).unwrap());
}

/// On the one thread of this test's runtime, which a cancellation from another thread does not let go of.
#[tokio::test]
async fn a_run_that_is_cancelled_before_its_handler_has_begun_gives_back_its_turn() {
    let app = TestApp::in_memory();
    let id = app.start([run("p")]).await;
    let client = app.client.clone();
    let cancelled = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(client.cancel_run(id)).unwrap()
    });
    assert!(cancelled.join().unwrap());
    assert_eq!(app.engine.global_parallelism().parallelism_count, 1);
    eventually("the turn is given back", async || {
        (app.engine.global_parallelism().parallelism_count == 0).then_some(())
    })
    .await;
    assert_eq!(app.probe.count("p"), 0);
}
