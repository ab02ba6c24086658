//! Runs of the engine's own process.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use axum::routing::post;
use workflow::{
    FlowControl, WorkflowContext,
    client::{RunFilter, RunState, StepLog},
    workflow,
};
use workflow_axum::serve;
use workflow_tests::{
    START, TestApp, eventually,
    script::{flaky, hold, run, sleep, wait},
};

use super::{idle, start, start_many, waiting};

const A_MINUTE: Duration = Duration::from_secs(60);

static INSIDE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

/// Counts how many of its runs are active at once.
#[workflow]
async fn crowd(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            INSIDE.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let inside = INSIDE.fetch_add(1, Ordering::SeqCst) + 1;
    let _leave = Leave;
    MOST.fetch_max(inside, Ordering::SeqCst);
    for step in 0..3 {
        ctx.run(format!("step {step}"), async || {
            tokio::task::yield_now().await;
            Ok(())
        })
        .await?;
    }
    let _ = ctx.wait_for_event::<()>("told", "go on", A_MINUTE).await?;
    ctx.run("after", async || Ok(())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_more_are_active_than_may_be_and_all_end() {
    let app = TestApp::in_memory_with(|router| router.route("/crowd", post(serve::<crowd>())));
    let limits = FlowControl::key("k").parallelism(3);
    let triggers =
        (0..200).map(|number| app.client.trigger_url("/crowd", &number).flow_control(limits.clone()));
    app.client.trigger_many(triggers).await.unwrap();
    eventually("all wait for the event, and none of them holds a permit", async || {
        let waiters = app.client.get_waiters("go on").await.unwrap();
        (waiters.len() == 200 && app.engine.flow_control("k").parallelism_count == 0).then_some(())
    })
    .await;
    assert_eq!(app.client.notify("go on", &()).await.unwrap().len(), 200);
    let succeeded = RunFilter { states: vec![RunState::RunStarted], ..RunFilter::default() };
    eventually("all have ended", async || {
        let query = workflow::client::LogQuery { filter: succeeded.clone(), ..Default::default() };
        app.client.logs(query).await.unwrap().runs.is_empty().then_some(())
    })
    .await;
    assert_eq!(MOST.load(Ordering::SeqCst), 3);
    idle(&app.engine).await;
}

/// When each run recorded its first step, in milliseconds since the start of the clock.
async fn first_steps(app: &TestApp, runs: &[String]) -> Vec<i64> {
    let mut times = Vec::new();
    for run in runs {
        app.ended(run).await;
        times.push(app.steps(run).await[0].created_at.unwrap() - START);
    }
    times
}

#[tokio::test]
async fn no_more_begin_in_a_period_than_may() {
    let app = TestApp::in_memory();
    let limits = FlowControl::key("k").rate(2).period(A_MINUTE);
    let runs = start_many(&app, &limits, 5, run("p")).await;
    let info = waiting(&app.engine, 3).await;
    assert_eq!((info.rate_max, info.rate_count, info.rate_period), (2, 2, 60));
    assert_eq!(info.rate_period_start, START / 1000);
    first_steps(&app, &runs[..2]).await;
    // Not quite over.
    app.advance(A_MINUTE - Duration::from_millis(1));
    assert_eq!(app.engine.flow_control("k").rate_count, 2);
    app.advance(Duration::from_millis(1));
    waiting(&app.engine, 1).await;
    first_steps(&app, &runs[..4]).await;
    app.advance(A_MINUTE);
    assert_eq!(first_steps(&app, &runs).await, [0, 0, 60_000, 60_000, 120_000]);
}

#[tokio::test]
async fn every_return_to_a_run_counts_as_a_beginning() {
    let app = TestApp::in_memory();
    let limits = FlowControl::key("k").rate(1).period(A_MINUTE);
    let slept = start(&app, &limits, [sleep(Duration::from_secs(1)), run("p")]).await;
    app.recorded(&slept, 1).await;
    app.advance(Duration::from_secs(1));
    waiting(&app.engine, 1).await;
    app.advance(A_MINUTE - Duration::from_secs(1));
    app.ended(&slept).await;
    assert_eq!(app.steps(&slept).await[1].created_at, Some(START + 60_000));
}

#[tokio::test]
async fn a_clock_that_is_set_back_does_not_hold_up_a_rate() {
    let app = TestApp::in_memory();
    let limits = FlowControl::key("k").rate(1).period(A_MINUTE);
    let runs = start_many(&app, &limits, 2, run("p")).await;
    waiting(&app.engine, 1).await;
    app.clock.set(START - 3_600_000);
    start(&app, &limits, [run("q")]).await;
    app.ended(&runs[1]).await;
}

fn message_number(step: &StepLog) -> u64 {
    step.message_id.trim_start_matches("msg_").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn turns_come_in_the_order_of_the_triggers() {
    let app = TestApp::in_memory();
    let runs = start_many(&app, &FlowControl::key("k").parallelism(1), 50, run("p")).await;
    let mut order = Vec::new();
    for run in &runs {
        app.ended(run).await;
        order.push(message_number(&app.steps(run).await[0]));
    }
    assert!(order.is_sorted(), "{order:?}");
}

/// More than there may be handlers at once, so that a backlog that took their turns would stop everything.
const BACKLOG: usize = 5000;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backlog_holds_up_nobody_else_and_survives_a_crash() {
    let mut app = TestApp::on_file();
    let limits = FlowControl::key("k").parallelism(1);
    let first = start(&app, &limits, [hold("first")]).await;
    app.probe.reached("first", 1).await;
    let backlog = start_many(&app, &limits, BACKLOG, run("backlog")).await;
    waiting(&app.engine, BACKLOG as u64).await;
    app.outcomes(&app.start([run("p")]).await).await;
    app.outcomes(&start(&app, &FlowControl::key("other").parallelism(1), [run("p")]).await).await;

    app.crash().await;
    // It is the oldest; one or the other may have been quicker than it while the runs were read.
    app.probe.reached("first", 2).await;
    app.outcomes(&app.start([run("p")]).await).await;
    let filter = RunFilter { run_ids: backlog[10..].to_vec(), ..RunFilter::default() };
    let cancelled = app.client.cancel(filter).await.unwrap();
    app.probe.open("first");
    app.ended(&first).await;
    for run in &backlog[..10] {
        app.ended(run).await;
    }
    idle(&app.engine).await;
    assert_eq!(app.probe.count("backlog") as u64, BACKLOG as u64 - cancelled, "cancelled runs do not begin");
    assert!(cancelled > BACKLOG as u64 / 2, "{cancelled}");
}

#[tokio::test]
async fn a_cancelled_run_leaves_the_wait_list() {
    let app = TestApp::in_memory();
    let limits = FlowControl::key("k").parallelism(1);
    let first = start(&app, &limits, [hold("first")]).await;
    app.probe.reached("first", 1).await;
    let second = start(&app, &limits, [run("second")]).await;
    let third = start(&app, &limits, [run("third")]).await;
    waiting(&app.engine, 2).await;
    assert!(app.client.cancel_run(&second).await.unwrap());
    assert_eq!(app.engine.flow_control("k").wait_list_size, 1, "it has left before this was answered");
    app.probe.open("first");
    app.ended(&first).await;
    app.ended(&third).await;
    assert_eq!(app.probe.count("second"), 0);

    app.probe.close("first");
    let fourth = start(&app, &limits, [hold("first")]).await;
    app.probe.reached("first", 2).await;
    let fifth = start(&app, &limits, [run("fifth")]).await;
    waiting(&app.engine, 1).await;
    assert!(app.client.cancel_run(&fourth).await.unwrap(), "a cancelled run gives back its permit");
    app.ended(&fifth).await;
}

#[tokio::test]
async fn a_parked_or_failed_run_holds_no_permit() {
    let app = TestApp::in_memory();
    let limits = FlowControl::key("k").parallelism(1);
    let parked = start(&app, &limits, [wait("e")]).await;
    let failing = start(&app, &limits, [flaky("f", 9)]).await;
    app.probe.reached("f", 1).await;
    let third = start(&app, &limits, [run("p")]).await;
    app.ended(&third).await;
    for run in [parked, failing] {
        assert!(!app.log(&run).await.is_ended());
    }
}

#[tokio::test]
async fn the_limits_of_whoever_came_last_count() {
    let app = TestApp::in_memory();
    let runs = start_many(&app, &FlowControl::key("k").parallelism(1), 3, hold("p")).await;
    waiting(&app.engine, 2).await;
    let last = start(&app, &FlowControl::key("k").parallelism(4), [hold("p")]).await;
    app.probe.reached("p", 4).await;
    app.probe.open("p");
    for run in runs.iter().chain([&last]) {
        app.ended(run).await;
    }
}

#[tokio::test]
async fn limits_that_make_no_sense_are_refused() {
    let app = TestApp::in_memory();
    for limits in [
        FlowControl::key("a/b").parallelism(1),
        FlowControl::key("k"),
        FlowControl::key("k").rate(0),
        FlowControl::key("k").rate(1).period(Duration::from_secs(8 * 24 * 3600)),
    ] {
        let trigger = workflow::client::Trigger {
            url: "/script".to_owned(),
            flow_control: Some(limits.clone()),
            ..Default::default()
        };
        assert_eq!(app.engine.trigger(vec![trigger]).await.unwrap_err().status(), 400, "{limits:?}");
    }
}
