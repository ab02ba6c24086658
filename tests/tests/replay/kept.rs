//! A run that the code of a deploy does not fit is kept, and goes on when it fits again.

use std::time::Duration;

use axum::{Router, extract::State, routing::post};
use workflow::{
    WorkflowContext,
    client::{GroupKind, RunState, StepLog},
    testing::{DivergenceKind, Replayed, replay},
    workflow,
};
use workflow_tests::{Probe, Routes, TestApp, eventually};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// The versions of the workflow. All are served at the same path.
mod versions {
    use super::*;

    #[workflow]
    pub async fn first(ctx: WorkflowContext<u32>, State(probe): State<Probe>) -> workflow::Result<usize> {
        let charged = ctx.run("charge", async || Ok(probe.pass("charge"))).await?;
        let shelf = ctx.run("reserve", async || Ok(probe.pass("reserve"))).await?;
        let paid = ctx.wait_for_event::<usize>("wait-for-payment", "payment", DAY).await?;
        let sent = ctx.step("send").retries(0).run(async || Ok(probe.pass("send"))).await?;
        Ok(charged + shelf + paid.received().unwrap_or_default() + sent)
    }

    /// Does not reserve any more.
    #[workflow]
    pub async fn second(ctx: WorkflowContext<u32>, State(probe): State<Probe>) -> workflow::Result<usize> {
        let charged = ctx.run("charge", async || Ok(probe.pass("charge"))).await?;
        let paid = ctx.wait_for_event::<usize>("wait-for-payment", "payment", DAY).await?;
        Ok(charged + paid.received().unwrap_or_default())
    }

    /// Wants a payload that no run has begun with.
    #[workflow]
    pub async fn third(ctx: WorkflowContext<Vec<String>>) -> workflow::Result<usize> {
        Ok(ctx.request_payload().len())
    }

    /// Does not serve this customer any more.
    #[workflow]
    pub async fn fourth(ctx: WorkflowContext<u32>, State(probe): State<Probe>) -> workflow::Result<usize> {
        let charged = ctx.run("charge", async || Ok(probe.pass("charge"))).await?;
        match *ctx.request_payload() {
            7 => Err(workflow::Error::non_retryable("no such customer")),
            _ => Ok(charged),
        }
    }

    /// Like the first, but sending fails.
    #[workflow]
    pub async fn broken(ctx: WorkflowContext<u32>, State(probe): State<Probe>) -> workflow::Result<usize> {
        ctx.run("charge", async || Ok(probe.pass("charge"))).await?;
        ctx.run("reserve", async || Ok(probe.pass("reserve"))).await?;
        let _ = ctx.wait_for_event::<usize>("wait-for-payment", "payment", DAY).await?;
        ctx.step("send")
            .retries(1)
            .run(async || Err(workflow::Error::msg(format!("attempt {}", ctx.attempt()))))
            .await
    }
}

const FIRST: Routes = |router| router.route("/order", post(workflow_axum::serve::<versions::first>()));
const SECOND: Routes = |router| router.route("/order", post(workflow_axum::serve::<versions::second>()));
const THIRD: Routes = |router| router.route("/order", post(workflow_axum::serve::<versions::third>()));
const FOURTH: Routes = |router| router.route("/order", post(workflow_axum::serve::<versions::fourth>()));
const BROKEN: Routes = |router| router.route("/order", post(workflow_axum::serve::<versions::broken>()));

/// Starts the engine again with other code.
async fn deploy(app: &mut TestApp, routes: Routes) {
    app.crash_unattached().await;
    let router: Router<Probe> = routes(Router::new());
    let _app: Router = workflow_axum::attach(router.with_state(app.probe.clone()), &app.engine.handle());
}

/// A run of the first version that waits for its payment.
async fn waiting_run(app: &TestApp) -> String {
    let run = app.client.trigger_url("/order", &7).await.unwrap().workflow_run_id;
    app.waiting("payment", 1).await;
    run
}

async fn pay(app: &TestApp) {
    app.client.notify("payment", &10).await.unwrap();
}

/// What the log says comes next, once it says that so many attempts have failed.
async fn next(app: &TestApp, run: &str, failed: usize) -> StepLog {
    eventually(format!("{failed} attempts of `{run}` have failed"), async || {
        let groups = app.log(run).await.steps.into_iter().filter(|group| group.kind == GroupKind::Next);
        groups.flat_map(|group| group.steps).find(|step| step.errors.len() == failed)
    })
    .await
}

#[tokio::test]
async fn a_diverged_run_is_kept_and_goes_on_with_the_code_that_fits() {
    let mut app = TestApp::on_file_with(FIRST);
    let run = waiting_run(&app).await;

    deploy(&mut app, SECOND).await;
    pay(&app).await;
    let step = next(&app, &run, 1).await;
    let message = &step.errors[0].error;
    for part in [
        "recorded is step 2 `reserve` (Run)",
        "asks for step 2 `wait-for-payment` (Wait) at ",
        "kept.rs:",
        "They agree up to step 1 `charge` (Run) at ",
        "roll the change back",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }

    // More attempts than the run has retries.
    let mut due = step.next_delivery_time.unwrap();
    for failed in 2..=8 {
        app.clock.set(due);
        due = next(&app, &run, failed).await.next_delivery_time.unwrap();
    }
    let log = app.log(&run).await;
    assert_eq!(log.workflow_state, RunState::RunStarted);
    let pause = due - workflow_engine::Clock::now(&*app.clock);
    assert_eq!(pause / 1000, 1808, "the delay before the last of three retries");

    // The deploy is not made to wait for that pause.
    deploy(&mut app, FIRST).await;
    assert_eq!(app.output::<usize>(&run).await, 1 + 1 + 10 + 1);
    for step in ["charge", "reserve", "send"] {
        assert_eq!(app.probe.count(step), 1, "{step}");
    }
}

#[tokio::test]
async fn a_run_without_retries_or_delays_is_kept_and_not_called_all_the_time() {
    let mut app = TestApp::on_file_with(FIRST);
    let run = app.client.trigger_url("/order", &7).retries(0).retry_delay("0").await.unwrap().workflow_run_id;
    app.waiting("payment", 1).await;
    deploy(&mut app, SECOND).await;
    pay(&app).await;
    for failed in 1..=3 {
        let due = next(&app, &run, failed).await.next_delivery_time.unwrap();
        assert_eq!(due - workflow_engine::Clock::now(&*app.clock), 60_000);
        app.clock.set(due);
    }
}

#[tokio::test]
async fn a_run_that_fails_before_the_end_of_its_history_is_kept_too() {
    for (routes, said) in [
        (THIRD, "the payload that the run has begun with does not fit"),
        (
            FOURTH,
            "recorded is step 2 `reserve` (Run), but the function has failed before it (no such customer)",
        ),
    ] {
        let mut app = TestApp::on_file_with(FIRST);
        let run = waiting_run(&app).await;
        deploy(&mut app, routes).await;
        pay(&app).await;
        let message = next(&app, &run, 1).await.errors[0].error.clone();
        assert!(message.contains(said), "{said} in {message}");
        deploy(&mut app, FIRST).await;
        assert_eq!(app.output::<usize>(&run).await, 13);
    }
}

#[tokio::test]
async fn attempts_that_diverged_take_no_retries_from_the_steps() {
    let mut app = TestApp::on_file_with(FIRST);
    let run = waiting_run(&app).await;
    deploy(&mut app, SECOND).await;
    pay(&app).await;
    let due = next(&app, &run, 1).await.next_delivery_time.unwrap();
    app.clock.set(due);
    next(&app, &run, 2).await;

    deploy(&mut app, BROKEN).await;
    let first = next(&app, &run, 1).await;
    assert_eq!((first.step_name.as_deref(), first.errors[0].error.as_str()), (Some("send"), "attempt 1"));
    assert_eq!(app.errors(&run).await.len(), 1, "that the code did not fit is forgotten");
    app.advance(DAY);
    let log = app.ended(&run).await;
    assert_eq!(log.workflow_state, RunState::RunFailed);
}

#[tokio::test]
async fn a_history_can_be_exported_before_and_after_the_end_of_its_run() {
    let app = TestApp::on_file_with(FIRST);
    let run = waiting_run(&app).await;
    let args = || (State(Probe::default()),);
    let on_its_way = app.engine.export(&run).await.unwrap();
    let Replayed::EndOfHistory { next } = replay::<versions::first>(&on_its_way, args()).await.unwrap()
    else {
        panic!("the run has not ended");
    };
    assert_eq!(next[0].name, "wait-for-payment");

    pay(&app).await;
    app.ended(&run).await;
    let ended = app.engine.export(&run).await.unwrap();
    let probe = Probe::default();
    let replayed = replay::<versions::first>(&ended, (State(probe.clone()),)).await.unwrap();
    assert_eq!(replayed, Replayed::Completed { output: 13.into() });
    assert_eq!(probe.count("charge"), 0, "a check runs no step");

    let divergence = replay::<versions::second>(&ended, args()).await.unwrap_err();
    assert_eq!((&divergence.kind, divergence.position), (&DivergenceKind::Step, 2));
    let error = app.engine.export("wfr_unknown").await.unwrap_err();
    assert_eq!(error.status(), 404);
}
