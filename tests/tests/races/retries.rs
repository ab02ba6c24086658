//! Retries: when, how often, and what is to be seen of them. Nothing that fails is dropped silently.

use std::time::Duration;

use workflow::{
    ClientError,
    client::{GroupKind, RunLog, RunState, StepState},
};
use workflow_engine::Clock;
use workflow_tests::{
    TestApp,
    script::{LONG, Outcome, flaky, hold, received, run, sleep, together, wait},
};

const MINUTE: Duration = Duration::from_secs(60);
const MILLISECOND: Duration = Duration::from_millis(1);

/// Passes time until the next attempt is due, and checks that it is made then and not a millisecond earlier.
pub async fn assert_next_attempt_after(app: &TestApp, run_id: &str, place: &str, delay: Duration) {
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
pub async fn reason(app: &TestApp, log: &RunLog) -> String {
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
    // e^2.5, e^5 and e^7.5 seconds.
    for (attempt, milliseconds) in [(1, 12_182), (2, 148_413), (3, 1_808_042)] {
        let errors = app.failed(&run_id, attempt).await;
        assert!(errors[attempt - 1].error.contains(&format!("attempt {attempt} of `flaky` fails")));
        assert_eq!(errors[attempt - 1].time, app.clock.now());
        assert_next_attempt_after(&app, &run_id, "flaky", Duration::from_millis(milliseconds)).await;
    }
    let log = app.failed_and_told(&run_id).await;
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
