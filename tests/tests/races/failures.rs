//! Kinds of failure, what follows from each, and what is to be seen of it.

use std::time::Duration;

use axum::{Router, extract::State, http::StatusCode, routing::post};
use workflow::{
    Error, StepFailure, WorkflowContext,
    client::{GroupKind, RunState},
    workflow,
};
use workflow_tests::{Probe, TestApp, script::LONG};

use super::retries::{assert_next_attempt_after, reason};

const MINUTE: Duration = Duration::from_secs(60);

#[workflow]
async fn kinds_of_failure(ctx: WorkflowContext<String>, State(probe): State<Probe>) -> workflow::Result<u32> {
    match ctx.request_payload().as_str() {
        "non-retryable" => {
            ctx.run("step", async || {
                probe.pass("step");
                Err(Error::non_retryable("the card was declined"))
            })
            .await
        }
        "retry after" => {
            ctx.run("step", async || match probe.pass("step") {
                1 => Err(Error::retry_after("too many requests", Duration::from_secs(77))),
                2 => Err(Error::msg("something else")),
                _ => Ok(7),
            })
            .await
        }
        "panic" => {
            ctx.run("step", async || match probe.pass("step") {
                1 => panic!("index out of {}", "range"),
                _ => Ok(7),
            })
            .await
        }
        "question mark" => {
            ctx.run("step", async || match probe.pass("step") {
                1 => Ok("seven".parse()?),
                _ => Ok("7".parse()?),
            })
            .await
        }
        "between steps" => {
            let seven = ctx.run("first", async || Ok(7)).await?;
            match probe.pass("step") {
                1 => return Err(Error::msg("not yet")),
                2 => panic!("still not"),
                _ => {}
            }
            let one: usize = ctx.run("second", async || Ok(probe.pass("second"))).await?;
            assert_eq!(one, 1);
            Ok(seven)
        }
        "after the last step" => {
            let seven = ctx.run("first", async || Ok(7)).await?;
            match probe.pass("step") {
                1 => Err(Error::msg("not yet")),
                _ => Ok(seven),
            }
        }
        "non-retryable between steps" => {
            ctx.run("first", async || Ok(7)).await?;
            probe.pass("step");
            Err(Error::non_retryable("never"))
        }
        other => Err(Error::non_retryable(format!("`{other}` is no kind of failure"))),
    }
}

/// Five attempts of one step and one of another, in a run with one retry.
#[workflow]
async fn own_retries(ctx: WorkflowContext<()>, State(probe): State<Probe>) -> workflow::Result<()> {
    ctx.step("often")
        .retries(4)
        .run(async || match probe.pass("often") {
            5 => Ok(()),
            _ => Err(Error::msg("often")),
        })
        .await?;
    ctx.run("as the run", async || match probe.pass("as the run") {
        2 => Ok(()),
        _ => Err(Error::msg("as the run")),
    })
    .await?;
    ctx.step("once")
        .retries(0)
        .run(async || {
            probe.pass("once");
            Err(Error::msg("not even once more"))
        })
        .await
}

#[workflow]
async fn go_on_after_failures(
    ctx: WorkflowContext<()>,
    State(probe): State<Probe>,
) -> workflow::Result<Vec<Result<u32, String>>> {
    let retried: Result<u32, StepFailure> = ctx
        .try_run("retried", async || {
            probe.pass("retried");
            Err(Error::msg(format!("failure {}", ctx.attempt())))
        })
        .await;
    probe.pass("between");
    let at_once = ctx
        .try_run("at once", async || {
            probe.pass("at once");
            Err(Error::non_retryable("no use"))
        })
        .await;
    let own = ctx
        .step("own retries")
        .retries(0)
        .try_run(async || {
            probe.pass("own retries");
            Err(Error::msg("once"))
        })
        .await;
    let good = ctx.try_run("good", async || Ok(7)).await;
    ctx.run("undo", async || Ok(probe.pass("undo"))).await?;
    Ok([retried, at_once, own, good].map(|result| result.map_err(|failure| failure.message)).to_vec())
}

async fn rejected_by_extractor() -> StatusCode {
    StatusCode::IM_A_TEAPOT
}

async fn no_workflow() -> &'static str {
    "hello"
}

fn routes(router: Router<Probe>) -> Router<Probe> {
    router
        .route("/kinds", post(workflow_axum::serve::<kinds_of_failure>()))
        .route("/own", post(workflow_axum::serve::<own_retries>()))
        .route("/try", post(workflow_axum::serve::<go_on_after_failures>()))
        .route("/teapot", post(rejected_by_extractor))
        .route("/hello", post(no_workflow))
}

async fn start_kind(app: &TestApp, kind: &str) -> String {
    app.client.trigger_url("/kinds", kind).retry_delay("60000").await.unwrap().workflow_run_id
}

/// `Error::non_retryable` in a step and between steps: no second attempt.
#[tokio::test]
async fn a_failure_that_no_retry_can_help_is_the_last_one() {
    for (kind, why) in [("non-retryable", "the card was declined"), ("non-retryable between steps", "never")]
    {
        let app = TestApp::in_memory_with(routes);
        let run_id = start_kind(&app, kind).await;
        let log = app.ended(&run_id).await;
        assert!(reason(&app, &log).await.contains(why), "{log:#?}");
        assert_eq!(app.probe.count("step"), 1, "{kind}");
    }
}

/// `Error::retry_after` sets the time of the next attempt only.
#[tokio::test]
async fn a_failure_may_say_when_to_try_again() {
    let app = TestApp::in_memory_with(routes);
    let run_id = start_kind(&app, "retry after").await;
    app.failed(&run_id, 1).await;
    assert_next_attempt_after(&app, &run_id, "step", Duration::from_secs(77)).await;
    app.failed(&run_id, 2).await;
    assert_next_attempt_after(&app, &run_id, "step", MINUTE).await;
    assert_eq!(app.output::<u32>(&run_id).await, 7);
}

/// A panic, and an error by `?`, are failures like any other.
#[tokio::test]
async fn a_panic_or_an_error_in_a_step_is_retried() {
    for (kind, why) in [("panic", "index out of range"), ("question mark", "invalid digit")] {
        let app = TestApp::in_memory_with(routes);
        let run_id = start_kind(&app, kind).await;
        let errors = app.failed(&run_id, 1).await;
        assert!(errors[0].error.contains(why), "{errors:?}");
        assert_next_attempt_after(&app, &run_id, "step", MINUTE).await;
        assert_eq!(app.output::<u32>(&run_id).await, 7);
    }
}

/// A failure of the code between steps is retried, too, by the same count; the steps before it do not run again.
#[tokio::test]
async fn a_failure_between_steps_is_retried() {
    let app = TestApp::in_memory_with(routes);
    let run_id = start_kind(&app, "between steps").await;
    for (attempt, why) in [(1, "not yet"), (2, "still not")] {
        let errors = app.failed(&run_id, attempt).await;
        assert!(errors[attempt - 1].error.contains(why), "{errors:?}");
        assert_next_attempt_after(&app, &run_id, "step", MINUTE).await;
    }
    assert_eq!(app.output::<u32>(&run_id).await, 7);
    assert_eq!(app.probe.count("second"), 1);
}

/// A failure after the last step: once the run has succeeded, it shows nothing to be done any more.
#[tokio::test]
async fn a_run_that_succeeds_after_a_failure_shows_nothing_to_be_retried() {
    let app = TestApp::in_memory_with(routes);
    let run_id = start_kind(&app, "after the last step").await;
    app.failed(&run_id, 1).await;
    assert_next_attempt_after(&app, &run_id, "step", MINUTE).await;
    assert_eq!(app.output::<u32>(&run_id).await, 7);
    let log = app.log(&run_id).await;
    assert!(log.steps.iter().all(|group| group.kind != GroupKind::Next), "{log:#?}");
}

/// Retries of one step, more or fewer than the run's.
#[tokio::test]
async fn a_step_may_have_retries_of_its_own() {
    let app = TestApp::in_memory_with(routes);
    let trigger = app.client.trigger_url("/own", &()).retries(1).retry_delay("60000");
    let run_id = trigger.await.unwrap().workflow_run_id;
    for attempt in 1..=4 {
        app.failed(&run_id, attempt).await;
        assert_next_attempt_after(&app, &run_id, "often", MINUTE).await;
    }
    app.failed(&run_id, 1).await;
    assert_next_attempt_after(&app, &run_id, "as the run", MINUTE).await;
    let log = app.ended(&run_id).await;
    assert!(reason(&app, &log).await.contains("not even once more"));
    assert_eq!((app.probe.count("often"), app.probe.count("as the run"), app.probe.count("once")), (5, 2, 1));
}

/// `try_run` records the last failure as the step's result, and the run goes on; also across a crash the step has failed for
/// good, and the function sees the same failure again.
#[tokio::test]
async fn a_recorded_failure_lets_the_run_go_on() {
    let mut app = TestApp::on_file_with(routes);
    let trigger = app.client.trigger_url("/try", &()).retries(2).retry_delay("60000");
    let run_id = trigger.await.unwrap().workflow_run_id;
    for attempt in 1..=2 {
        app.failed(&run_id, attempt).await;
        app.crash().await;
        assert_next_attempt_after(&app, &run_id, "retried", MINUTE).await;
    }
    let results: Vec<Result<u32, String>> = app.output(&run_id).await;
    let failed = |message: &str| Err(message.to_owned());
    assert_eq!(results, [failed("failure 3"), failed("no use"), failed("once"), Ok(7)]);
    let log = app.log(&run_id).await;
    assert_eq!((log.workflow_state, log.dlq_id), (RunState::RunSuccess, None));
    let counts = ["retried", "at once", "own retries", "undo"].map(|place| app.probe.count(place));
    assert_eq!(counts, [3, 1, 1, 1]);
}

#[workflow]
async fn fail_before_a_group(ctx: WorkflowContext<()>, State(probe): State<Probe>) -> workflow::Result<()> {
    if probe.pass("invoked") == 1 {
        return Err(Error::msg("not at the first time"));
    }
    let one = ctx.wait_for_event::<()>("one", "one", LONG);
    let two = ctx.wait_for_event::<()>("two", "two", LONG);
    let _ = tokio::try_join!(one, two)?;
    Ok(())
}

/// A failure before a group of waits is over once the waits are registered: the run is called again when they are resolved, not
/// all the time, and the failure is not shown any more.
#[tokio::test]
async fn a_failure_before_a_group_of_waits_is_forgotten_once_they_wait() {
    let app = TestApp::in_memory_with(|router| {
        router.route("/before-group", post(workflow_axum::serve::<fail_before_a_group>()))
    });
    let trigger = app.client.trigger_url("/before-group", &()).retry_delay("60000");
    let run_id = trigger.await.unwrap().workflow_run_id;
    app.failed(&run_id, 1).await;
    assert_next_attempt_after(&app, &run_id, "invoked", MINUTE).await;
    app.waiting("one", 1).await;
    app.waiting("two", 1).await;
    // A run that was called without need would be called again and again by now.
    for _ in 0..100 {
        app.tell("nobody", "").await;
    }
    assert_eq!(app.errors(&run_id).await, []);
    app.tell("one", "").await;
    app.tell("two", "").await;
    app.output::<()>(&run_id).await;
    assert_eq!(app.probe.count("invoked"), 3, "the failed call, the one that waits, the one that ends");
}

/// A run whose path no route serves, or whose route is no workflow: it fails visibly, with the reason.
#[tokio::test]
async fn a_run_without_a_workflow_fails_and_says_why() {
    let app = TestApp::in_memory_with(routes);
    for (path, attempts, why) in
        [("/nowhere", 2, "no route"), ("/teapot", 2, "418"), ("/hello", 1, "not a workflow")]
    {
        let trigger = app.client.trigger_url(path, &()).retries(1).retry_delay("60000");
        let run_id = trigger.await.unwrap().workflow_run_id;
        if attempts > 1 {
            app.failed(&run_id, 1).await;
            app.advance(MINUTE);
        }
        let log = app.ended(&run_id).await;
        assert!(reason(&app, &log).await.contains(why), "{log:#?}");
        assert_eq!(app.errors(&run_id).await.len(), attempts, "{path}");
    }
}
