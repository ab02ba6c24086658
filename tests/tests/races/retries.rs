//! Retries: when, how often, and what is to be seen of them. Nothing that fails is dropped silently.

use std::time::Duration;

use axum::{Router, extract::State, http::StatusCode, routing::post};
use workflow::{
    ClientError, Error, StepFailure, WorkflowContext,
    client::{GroupKind, RunLog, RunState, StepState},
    workflow,
};
use workflow_engine::Clock;
use workflow_tests::{
    Probe, TestApp,
    script::{LONG, Outcome, flaky, hold, received, run, sleep, together, wait},
};

const MILLISECOND: Duration = Duration::from_millis(1);

/// Passes time until the next attempt is due, and checks that it is made then and not a millisecond earlier.
async fn assert_next_attempt_after(app: &TestApp, run_id: &str, place: &str, delay: Duration) {
    let attempts = app.probe.count(place);
    let log = app.log(run_id).await;
    let next = log.steps.last().unwrap();
    assert_eq!((next.kind, next.steps[0].state), (GroupKind::Next, Some(StepState::StepRetry)), "{log:#?}");
    let due = app.clock.now() + i64::try_from(delay.as_millis()).unwrap();
    assert_eq!(next.steps[0].next_delivery_time, Some(due), "attempt {attempts}");
    app.advance(delay - MILLISECOND);
    app.tell("nobody", "the engine has seen the time").await;
    assert_eq!(app.probe.count(place), attempts, "too early");
    app.advance(MILLISECOND);
    app.probe.reached(place, attempts + 1).await;
}

/// The reason of a failed run, as the listing shows it: its last error.
async fn reason(app: &TestApp, log: &RunLog) -> String {
    assert_eq!(log.workflow_state, RunState::RunFailed, "{log:#?}");
    assert!(log.dlq_id.is_some(), "a failed run is in the dead letter queue: {log:#?}");
    assert!(log.workflow_run_completed_at.is_some());
    let next = log.steps.last().unwrap();
    assert_eq!((next.kind, next.steps[0].state), (GroupKind::Next, Some(StepState::StepFailed)), "{log:#?}");
    let errors = app.errors(&log.workflow_run_id).await;
    errors.last().unwrap().error.clone()
}

/// Protocol, D.6: three retries after 12, 148 and 1808 seconds; then the run has failed, and says why.
#[tokio::test]
async fn a_step_is_retried_after_the_documented_delays_and_then_the_run_fails() {
    let app = TestApp::in_memory();
    let run_id = app.start([run("before"), flaky("flaky", 99), run("after")]).await;
    for (attempt, seconds) in [(1, 12.182_493), (2, 148.413_159), (3, 1808.042_414)] {
        let errors = app.failed(&run_id, attempt).await;
        assert!(errors[attempt - 1].error.contains(&format!("attempt {attempt} of `flaky` fails")));
        assert_eq!(errors[attempt - 1].time, app.clock.now());
        // e^2.5, e^5, e^7.5 seconds, to the millisecond.
        let delay = Duration::from_millis((seconds * 1000.0) as u64);
        assert_next_attempt_after(&app, &run_id, "flaky", delay).await;
    }
    let log = app.ended(&run_id).await;
    assert!(reason(&app, &log).await.contains("attempt 4 of `flaky` fails"), "{log:#?}");
    assert_eq!(app.failed(&run_id, 4).await.len(), 4, "all attempts are to be seen");
    assert_eq!(log.workflow_run_completed_at, Some(app.clock.now()));
    app.advance(LONG);
    app.tell("nobody", "the engine has seen the time").await;
    assert_eq!(app.log(&run_id).await, log, "nothing follows");
    assert_eq!((app.probe.count("before"), app.probe.count("flaky"), app.probe.count("after")), (1, 4, 0));
}

/// A step that succeeds at last: the run goes on, and the next step begins with all its attempts.
#[tokio::test]
async fn a_step_that_succeeds_at_last_leaves_no_failures_behind() {
    let app = TestApp::in_memory();
    let trigger = app.client.trigger_url("/script", &[flaky("one", 2), flaky("two", 2), wait("e")]);
    let run_id = trigger.retries(2).retry_delay("1000").await.unwrap().workflow_run_id;
    for place in ["one", "two"] {
        for attempt in 1..=2 {
            app.failed(&run_id, attempt).await;
            assert_next_attempt_after(&app, &run_id, place, Duration::from_secs(1)).await;
        }
    }
    app.waiting("e", 1).await;
    assert_eq!(app.errors(&run_id).await, []);
    app.tell("e", "on").await;
    assert_eq!(app.outcomes(&run_id).await, [Outcome::Ran, Outcome::Ran, received("on")]);
}

/// Delays by an expression over the number of retries so far, in milliseconds.
#[tokio::test]
async fn a_retry_delay_is_an_expression() {
    for (expression, delays) in [
        ("5000", [5000, 5000, 5000]),
        ("1000 * (1 + retried)", [1000, 2000, 3000]),
        ("pow(2, retried) * 250", [250, 500, 1000]),
        ("max(100, min(150, 100 * retried))", [100, 100, 150]),
        ("1.5 * 1000", [1500, 1500, 1500]),
        ("pow(10, 30)", [86_400_000; 3]),
    ] {
        let app = TestApp::in_memory();
        let trigger = app.client.trigger_url("/script", &[flaky("flaky", 3)]).retry_delay(expression);
        let run_id = trigger.await.unwrap().workflow_run_id;
        for (attempt, delay) in delays.into_iter().enumerate() {
            app.failed(&run_id, attempt + 1).await;
            assert_next_attempt_after(&app, &run_id, "flaky", Duration::from_millis(delay)).await;
        }
        assert_eq!(app.outcomes(&run_id).await, [Outcome::Ran], "{expression}");
    }
}

/// No delay at all: all attempts at once.
#[tokio::test]
async fn a_retry_delay_of_nothing_tries_at_once() {
    let app = TestApp::in_memory();
    for expression in ["0", "1000 * retried - 5000"] {
        let trigger = app.client.trigger_url("/script", &[flaky("flaky", 3)]).retry_delay(expression);
        let run_id = trigger.await.unwrap().workflow_run_id;
        assert_eq!(app.outcomes(&run_id).await, [Outcome::Ran], "{expression}");
    }
    assert_eq!(app.probe.count("flaky"), 8);
}

/// An expression that is none: the trigger is refused, and no run is started.
#[tokio::test]
async fn a_retry_delay_that_is_no_expression_is_refused() {
    let app = TestApp::in_memory();
    for (bad, why) in [("", "``"), ("1000 *", "`1000 *`"), ("2 * tries", "`tries`"), ("rm -rf", "`rm -rf`")] {
        let refusal = app.client.trigger_url("/script", &[run("ran")]).retry_delay(bad).await.unwrap_err();
        assert!(matches!(refusal, ClientError::Refused { status: 400, .. }), "{refusal}");
        assert!(refusal.to_string().contains(why), "{refusal}");
    }
    assert_eq!(app.client.logs(workflow::client::LogQuery::default()).await.unwrap().runs, []);
}

/// No retries: the first failure is the last one.
#[tokio::test]
async fn a_run_without_retries_fails_at_the_first_failure() {
    let app = TestApp::in_memory();
    let run_id =
        app.client.trigger_url("/script", &[flaky("flaky", 1)]).retries(0).await.unwrap().workflow_run_id;
    let log = app.ended(&run_id).await;
    assert!(reason(&app, &log).await.contains("attempt 1 of `flaky` fails"));
    assert_eq!(app.probe.count("flaky"), 1);
}

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

const MINUTE: Duration = Duration::from_secs(60);

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

/// One member of a group fails: the others' results are kept, and each body runs as often as it must.
#[tokio::test]
async fn a_failing_member_of_a_group_does_not_repeat_the_others() {
    let mut app = TestApp::on_file();
    let group = together([run("a"), flaky("b", 2), run("c"), flaky("d", 1), wait("e"), sleep(MINUTE)]);
    let trigger = app.client.trigger_url("/script", &[group, run("after")]).retry_delay("60000");
    let run_id = trigger.await.unwrap().workflow_run_id;
    app.failed(&run_id, 2).await;
    app.recorded(&run_id, 3).await;
    app.advance(MINUTE);
    app.probe.reached("b", 2).await;
    app.probe.reached("d", 2).await;
    app.recorded(&run_id, 4).await;
    app.failed(&run_id, 2).await;
    app.crash().await;
    app.advance(MINUTE);
    app.recorded(&run_id, 5).await;
    app.waiting("e", 1).await;
    app.tell("e", "on").await;
    let members =
        vec![Outcome::Ran, Outcome::Ran, Outcome::Ran, Outcome::Ran, received("on"), Outcome::Slept];
    assert_eq!(app.outcomes(&run_id).await, [Outcome::Together(members), Outcome::Ran]);
    assert_eq!(["a", "b", "c", "d", "after"].map(|place| app.probe.count(place)), [1, 3, 1, 2, 1]);
}

/// The last failure of a member fails the run: the others stop, and what they wait for goes with the run.
#[tokio::test]
async fn the_last_failure_of_a_member_fails_the_run_with_its_waits() {
    let app = TestApp::in_memory();
    let group = together([flaky("flaky", 99), wait("e"), hold("held")]);
    let run_id = app.client.trigger_url("/script", &[group]).retries(0).await.unwrap().workflow_run_id;
    let log = app.ended(&run_id).await;
    assert!(reason(&app, &log).await.contains("attempt 1 of `flaky` fails"));
    app.probe.left("held").await;
    assert_eq!(app.waiters("e").await, [] as [String; 0]);
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
