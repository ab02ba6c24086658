//! Runs that are resumed or restarted: what is recorded does not run again, and nobody gets two runs for one.

use std::{future::IntoFuture, time::Duration};

use serde_json::{Value, json};
use workflow::{
    ClientError,
    client::{CallbackState, DlqMessage, RunState},
};
use workflow_tests::{TestApp, Told, script::LONG};

use crate::guarded::{Plan, fail, fails_once, letter, queued, routes};

const MINUTE: Duration = Duration::from_secs(60);

/// The one run that came of an entry.
async fn resumed(app: &TestApp, message: &DlqMessage) -> String {
    let revived = app.client.dlq().resume(&*message.dlq_id).await.unwrap();
    assert_eq!((revived.workflow_runs.len(), revived.cursor), (1, None));
    revived.workflow_runs[0].workflow_run_id.clone()
}

#[tokio::test]
async fn a_resumed_run_goes_on_at_the_step_that_failed() {
    let app = TestApp::in_memory_with(routes);
    let message = fail(&app, &fails_once()).await;
    let failed = app.log(&message.workflow_run_id).await;
    let run = resumed(&app, &message).await;
    assert_ne!(run, message.workflow_run_id);
    assert_eq!(app.output::<Vec<usize>>(&run).await, [1, 2, 1]);
    let counts = ["first", "charge", "last"].map(|place| app.probe.count(place));
    assert_eq!(counts, [1, 2, 1], "the first step did not run again");
    let names: Vec<_> = app.steps(&run).await.into_iter().map(|step| step.step_name.unwrap()).collect();
    assert_eq!(names, ["first", "charge", "last"]);

    // The failed run stays as it was, but for its entry.
    assert!(app.client.dlq().get(&message.dlq_id).await.unwrap().is_none());
    queued(&app, 0).await;
    let after = app.log(&message.workflow_run_id).await;
    assert_eq!(after.dlq_id, None);
    assert_eq!((after.workflow_state, &after.steps), (RunState::RunFailed, &failed.steps));
}

#[tokio::test]
async fn a_restarted_run_begins_again_with_the_same_payload_and_settings() {
    let app = TestApp::in_memory_with(routes);
    let trigger = app.client.trigger_url("/guarded", &fails_once()).retries(0).label("retail");
    let run = trigger.run_id("chosen").header("X-User", "ann").await.unwrap().workflow_run_id;
    let message = letter(&app, &run).await;
    let revived = app.client.dlq().restart(&*message.dlq_id).await.unwrap();
    let again = &revived.workflow_runs[0].workflow_run_id;
    assert_eq!(app.output::<Vec<usize>>(again).await, [2, 2, 1]);
    let log = app.log(again).await;
    assert_eq!((log.labels, log.workflow_url.as_str()), (vec!["retail".to_owned()], "/guarded"));
    assert_eq!(log.steps[0].steps[0].retries, Some(0));
    assert!(again.starts_with("wfr_") && again != "wfr_chosen");
    queued(&app, 0).await;
}

#[tokio::test]
async fn a_resumed_run_that_fails_again_is_a_new_entry() {
    let app = TestApp::in_memory_with(routes);
    let message = fail(&app, &Plan { failures: 2, ..Plan::default() }).await;
    let second = resumed(&app, &message).await;
    let message = letter(&app, &second).await;
    assert_eq!(app.probe.count("function begins"), 2, "each failed run is told");
    let third = resumed(&app, &message).await;
    assert_eq!(app.output::<Vec<usize>>(&third).await, [1, 3, 1]);
    assert_eq!(app.probe.count("first"), 1);
}

#[tokio::test]
async fn what_is_changed_applies_to_the_new_run() {
    let app = TestApp::in_memory_with(routes);
    let message = fail(&app, &Plan { failures: 9, ..Plan::default() }).await;
    let revived = app
        .client
        .dlq()
        .resume(&*message.dlq_id)
        .retries(1)
        .retry_delay("5000")
        .label("second")
        .label("try")
        .delay(MINUTE)
        .failure_url("/group")
        .await
        .unwrap();
    let run = &revived.workflow_runs[0].workflow_run_id;
    app.tell("nobody", "the engine has seen the time").await;
    assert_eq!(app.probe.count("charge"), 1, "not yet");
    app.advance(MINUTE);
    app.failed(run, 1).await;
    app.advance(Duration::from_secs(5));
    let log = app.failed_and_told(run).await;
    assert_eq!(app.probe.count("charge"), 3);
    assert_eq!(log.labels, ["second", "try"]);
    assert_eq!(log.steps[0].steps[0].retry_delay.as_deref(), Some("5000"));
    // The workflow there has no failure function.
    assert_eq!((log.failure_function, app.probe.count("function begins")), (None, 1));
}

#[tokio::test]
async fn changes_that_make_no_sense_leave_the_entry_alone() {
    let app = TestApp::in_memory_with(routes);
    let message = fail(&app, &fails_once()).await;
    let dlq = app.client.dlq();
    for request in [
        dlq.resume(&*message.dlq_id).retry_delay("soon"),
        dlq.resume(&*message.dlq_id).label("two words"),
        dlq.restart(&*message.dlq_id).failure_url("nowhere"),
    ] {
        let refused = request.await.unwrap_err();
        assert!(matches!(refused, ClientError::Refused { status: 400, .. }), "{refused}");
    }
    assert_eq!(queued(&app, 1).await[0].dlq_id, message.dlq_id);
}

/// Of four members of a group one has succeeded, one fails, and two wait: the wait is registered anew with its whole timeout, the
/// sleep keeps its end.
#[tokio::test]
async fn a_group_is_resumed_where_it_was() {
    let app = TestApp::on_file_with(routes);
    let run = app.client.trigger_url("/group", &1).await.unwrap().workflow_run_id;
    app.waiting("event", 1).await;
    // Both steps before it, and the sleep, which is recorded when it begins.
    app.recorded(&run, 3).await;
    app.probe.reached("right", 1).await;
    app.probe.open("right");
    let message = letter(&app, &run).await;
    assert_eq!(app.waiters("event").await, [] as [String; 0], "a failed run waits for nothing");
    app.advance(MINUTE / 2);
    let run = resumed(&app, &message).await;
    assert_eq!(app.waiting("event", 1).await, std::slice::from_ref(&run));
    app.probe.reached("right", 2).await;
    app.advance(MINUTE / 2);
    app.tell("nobody", "the engine has seen the time").await;
    app.client.notify("event", &7_u32).await.unwrap();
    let expected = json!({ "left": 1, "right": 2, "event": 7, "after": 1 });
    assert_eq!(app.output::<Value>(&run).await, expected);
    let counts = ["before", "left", "right", "after"].map(|place| app.probe.count(place));
    assert_eq!(counts, [1, 1, 2, 1]);
}

#[tokio::test]
async fn a_resumed_run_survives_a_crash() {
    let mut app = TestApp::on_file_with(routes);
    let message = fail(&app, &fails_once()).await;
    app.crash_unattached().await;
    let run = resumed(&app, &message).await;
    app.crash().await;
    assert_eq!(app.output::<Vec<usize>>(&run).await, [1, 2, 1]);
    assert_eq!(app.probe.count("first"), 1);
    queued(&app, 0).await;
}

/// What was told to the failed run before it waited has been answered with "stored": it is there for the run that goes on.
#[tokio::test]
async fn notifications_that_were_stored_go_to_the_resumed_run() {
    let mut app = TestApp::on_file_with(routes);
    let fail_with_stored = async |app: &TestApp, place: &str| {
        let run = app.client.trigger_url("/waiter", place).await.unwrap().workflow_run_id;
        app.probe.reached(place, 1).await;
        for data in ["one", "two"] {
            assert_eq!(app.tell_run(&run, "e", data).await.unwrap(), Told::Stored(run.clone()));
        }
        app.probe.open(place);
        letter(app, &run).await
    };
    let message = fail_with_stored(&app, "first").await;
    app.crash().await;
    let run = resumed(&app, &message).await;
    assert_eq!(app.output::<Vec<String>>(&run).await, ["one", "two"]);

    // Who begins again has been told nothing yet.
    let message = fail_with_stored(&app, "second").await;
    let revived = app.client.dlq().restart(&*message.dlq_id).await.unwrap();
    let run = &revived.workflow_runs[0].workflow_run_id;
    app.waiting("e", 1).await;
    assert_eq!(app.tell_run(run, "e", "three").await.unwrap(), Told::Delivered(run.clone()));
    app.waiting("e", 1).await;
    assert_eq!(app.tell_run(run, "e", "four").await.unwrap(), Told::Delivered(run.clone()));
    assert_eq!(app.output::<Vec<String>>(run).await, ["three", "four"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_who_resume_at_once_get_one_run() {
    let app = TestApp::on_file_with(routes);
    for _ in 0..20 {
        let message = fail(&app, &Plan { failures: usize::MAX, ..Plan::default() }).await;
        let dlq = app.client.dlq();
        let (id, other) = (&*message.dlq_id, dlq.clone());
        let (one, two, three) = tokio::join!(
            dlq.resume(id).delay(LONG).into_future(),
            other.restart(id).delay(LONG).into_future(),
            dlq.resume(id).delay(LONG).into_future(),
        );
        let runs: Vec<_> =
            [one, two, three].into_iter().flat_map(|revived| revived.unwrap().workflow_runs).collect();
        assert_eq!(runs.len(), 1, "{runs:?}");
    }
    queued(&app, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_deleted_is_not_resumed_and_the_other_way_round() {
    let app = TestApp::on_file_with(routes);
    for _ in 0..20 {
        let message = fail(&app, &Plan { failures: usize::MAX, ..Plan::default() }).await;
        let (one, two) = (app.client.dlq(), app.client.dlq());
        let id = &*message.dlq_id;
        let (revived, deleted) =
            tokio::join!(one.resume(id).delay(LONG).into_future(), two.delete(id).into_future());
        let runs = revived.unwrap().workflow_runs.len() as u64;
        assert_eq!(runs + deleted.unwrap().deleted, 1);
    }
    queued(&app, 0).await;
}

/// The failure is still being told: that goes on.
#[tokio::test]
async fn a_failure_is_told_although_its_run_was_resumed_meanwhile() {
    let app = TestApp::in_memory_with(routes);
    let run = crate::guarded::start(&app, &Plan { hold: true, ..fails_once() }).await;
    app.probe.reached("function begins", 1).await;
    let id = app.log(&run).await.dlq_id.unwrap();
    let revived = app.client.dlq().resume(id).await.unwrap();
    app.ended(&revived.workflow_runs[0].workflow_run_id).await;
    app.probe.open("function");
    let told = app.failed_and_told(&run).await.failure_function.unwrap();
    assert_eq!(told.state, CallbackState::Success);
}
