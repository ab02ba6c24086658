//! Registration against delivery: a notification is never lost, whenever it comes.

use std::time::Duration;

use axum::{Router, extract::State, routing::post};
use workflow::{Client, ClientError, WaitResult, WorkflowContext, workflow};
use workflow_tests::{
    Probe, START, TestApp, Told,
    script::{LONG, Outcome, flaky, hold, received, run, sleep, together, wait, wait_for},
};

/// 2b A.1: there is no gap between looking for a stored notification and registering the waiter.
#[tokio::test(flavor = "multi_thread")]
async fn a_notification_that_races_with_the_registration_of_the_wait_arrives() {
    let app = TestApp::in_memory();
    let mut stored = 0;
    for number in 0..200 {
        let run_id = app.start([run("before"), wait("e")]).await;
        // Somewhere between the trigger and the parked wait; the number of turns varies the place.
        for _ in 0..number % 20 {
            tokio::task::yield_now().await;
        }
        let told = app.tell_run(&run_id, "e", "now").await.unwrap();
        stored += usize::from(told == Told::Stored(run_id.clone()));
        assert_eq!(app.outcomes(&run_id).await, [Outcome::Ran, received("now")], "{told:?}");
    }
    assert!(stored > 0, "no notification came before its wait: the race was not run");
    assert_eq!(app.waiters("e").await, [] as [String; 0]);
}

/// 2b A.2: a notification right after the trigger, before the run has been called for the first time.
#[tokio::test]
async fn a_notification_before_the_first_call_of_the_run_arrives() {
    let app = TestApp::unattached();
    let run_id = app.start([wait("e")]).await;
    assert_eq!(app.tell_run(&run_id, "e", "early").await.unwrap(), Told::Stored(run_id.clone()));
    app.attach();
    assert_eq!(app.outcomes(&run_id).await, [received("early")]);
}

/// 2b A.2: the same for a run that is to start later.
#[tokio::test]
async fn a_notification_of_a_delayed_run_arrives() {
    let app = TestApp::in_memory();
    let hour = Duration::from_secs(3600);
    let started = app.client.trigger_url("/script", &[wait("e")]).delay(hour).await.unwrap();
    let run_id = started.workflow_run_id;
    assert_eq!(app.tell_run(&run_id, "e", "early").await.unwrap(), Told::Stored(run_id.clone()));
    app.advance(hour);
    assert_eq!(app.outcomes(&run_id).await, [received("early")]);
}

/// 2b A.3: the run is busy with another step.
#[tokio::test]
async fn a_notification_during_another_step_arrives() {
    let app = TestApp::in_memory();
    let run_id = app.start([hold("busy"), wait("e")]).await;
    app.probe.reached("busy", 1).await;
    assert_eq!(app.tell("e", "to all").await, [], "it does not wait yet");
    assert_eq!(app.tell_run(&run_id, "e", "to it").await.unwrap(), Told::Stored(run_id.clone()));
    app.probe.open("busy");
    assert_eq!(app.outcomes(&run_id).await, [Outcome::Ran, received("to it")]);
}

/// 2b A.3: the run sleeps.
#[tokio::test]
async fn a_notification_during_a_sleep_arrives() {
    let app = TestApp::in_memory();
    let hour = Duration::from_secs(3600);
    let run_id = app.start([sleep(hour), wait("e")]).await;
    app.recorded(&run_id, 1).await;
    assert_eq!(app.tell_run(&run_id, "e", "meanwhile").await.unwrap(), Told::Stored(run_id.clone()));
    app.advance(hour);
    assert_eq!(app.outcomes(&run_id).await, [Outcome::Slept, received("meanwhile")]);
}

/// 2b A.4: a run id that the caller has chosen, before there is such a run. Nothing is kept for a run that may never come,
/// and the sender is told.
#[tokio::test]
async fn a_notification_before_the_trigger_is_refused_and_not_kept() {
    let app = TestApp::in_memory();
    let refusal = app.tell_run("wfr_order-7", "e", "too early").await.unwrap_err();
    assert!(matches!(refusal, ClientError::Refused { status: 404, .. }), "{refusal}");
    assert!(refusal.to_string().contains("wfr_order-7"), "{refusal}");

    let started = app.client.trigger_url("/script", &[wait("e")]).run_id("order-7").await.unwrap();
    let run_id = started.workflow_run_id;
    assert_eq!(run_id, "wfr_order-7");
    assert_eq!(app.waiting("e", 1).await, ["wfr_order-7"]);
    assert_eq!(app.tell_run(&run_id, "e", "in time").await.unwrap(), Told::Delivered(run_id.clone()));
    assert_eq!(app.outcomes(&run_id).await, [received("in time")]);
}

#[workflow]
async fn order_at_a_shop(ctx: WorkflowContext<()>, State(client): State<Client>) -> workflow::Result<String> {
    let run_id = ctx.workflow_run_id();
    ctx.run("place order", async || {
        // The shop confirms before the order call has returned.
        let told = client.notify(format!("confirmed {run_id}"), "at once").run_id(run_id).await?;
        assert!(told[0].waiter.is_none());
        Ok(())
    })
    .await?;
    match ctx.wait_for_event::<String>("confirmation", format!("confirmed {run_id}"), LONG).await? {
        WaitResult::Received(confirmation) => Ok(confirmation),
        WaitResult::TimedOut => Err(workflow::Error::non_retryable("not confirmed")),
    }
}

/// 2b A.5: an id is published in a step, and the callback comes before that step is recorded.
#[tokio::test]
async fn a_callback_before_the_step_that_asks_for_it_is_recorded_arrives() {
    let app = TestApp::in_memory();
    let router = Router::new()
        .route("/order", post(workflow_axum::serve::<order_at_a_shop>()))
        .with_state(app.client.clone());
    let _app = workflow_axum::attach(router, &app.engine.handle());
    let run_id = app.client.trigger_url("/order", &()).await.unwrap().workflow_run_id;
    assert_eq!(app.output::<String>(&run_id).await, "at once");
}

#[workflow]
async fn wait_perhaps(ctx: WorkflowContext<()>, State(probe): State<Probe>) -> workflow::Result<String> {
    let is_approved_already = ctx
        .run("ask", async || {
            probe.hold("ask").await;
            Ok(true)
        })
        .await?;
    if !is_approved_already {
        ctx.wait_for_event::<String>("approval", "approved", LONG).await?.received();
    }
    Ok("done".to_owned())
}

/// 2b A.5: a wait that is skipped keeps neither the run nor what was stored for it.
#[tokio::test]
async fn a_run_that_skips_its_wait_ends_with_the_notification_unread() {
    let app = TestApp::in_memory_with(|router| {
        router.route("/perhaps", post(workflow_axum::serve::<wait_perhaps>()))
    });
    let run_id = app.client.trigger_url("/perhaps", &()).run_id("perhaps").await.unwrap().workflow_run_id;
    app.probe.reached("ask", 1).await;
    assert_eq!(app.tell_run(&run_id, "approved", "yes").await.unwrap(), Told::Stored(run_id.clone()));
    app.probe.open("ask");
    assert_eq!(app.output::<String>(&run_id).await, "done");

    let again = app.client.trigger_url("/script", &[wait("approved")]).run_id("perhaps").await.unwrap();
    assert_eq!(again.workflow_run_id, run_id);
    assert_eq!(app.waiting("approved", 1).await, [run_id], "the later run does not find what was left over");
}

/// 2b A.6: a wait and its timer are registered together, and both survive the process.
#[tokio::test]
async fn a_registered_wait_has_its_timer_also_after_a_crash() {
    let mut app = TestApp::on_file();
    let run_id = app.start([wait_for("e", Duration::from_secs(60))]).await;
    app.waiting("e", 1).await;
    app.crash().await;
    assert_eq!(app.waiters("e").await, [run_id.as_str()]);
    let deadline = app.client.get_waiters("e").await.unwrap()[0].deadline;
    assert_eq!(deadline, START / 1000 + 60, "counted from the registration");
    app.advance(Duration::from_secs(60));
    assert_eq!(app.outcomes(&run_id).await, [Outcome::TimedOut]);
}

/// 2b A.7: no registration gets lost under load.
#[tokio::test(flavor = "multi_thread")]
async fn all_of_a_thousand_simultaneous_registrations_hold() {
    let app = TestApp::in_memory();
    let triggers = (0..1000).map(|_| app.client.trigger_url("/script", &[run("before"), wait("e")]));
    let started = app.client.trigger_many(triggers).await.unwrap();
    let mut waiting = app.waiting("e", 1000).await;
    let mut runs: Vec<String> = started.into_iter().map(|started| started.workflow_run_id).collect();
    waiting.sort();
    runs.sort();
    assert_eq!(waiting, runs);
}

/// 2b A.8: a wait in a group that is replayed, because another member fails, is still one wait.
#[tokio::test]
async fn a_wait_that_is_replayed_is_registered_once() {
    let mut app = TestApp::on_file();
    let run_id = app.start([together([wait("e"), flaky("flaky", 3)]), wait("e")]).await;
    for attempt in 1..=3 {
        app.failed(&run_id, attempt).await;
        assert_eq!(app.waiting("e", 1).await, [run_id.as_str()]);
        app.crash().await;
        assert_eq!(app.waiters("e").await, [run_id.as_str()]);
        app.advance(Duration::from_secs(3600));
    }
    app.probe.reached("flaky", 4).await;
    assert_eq!(app.tell("e", "first").await, [Told::Delivered(run_id.clone())]);
    assert_eq!(app.waiting("e", 1).await, [run_id.as_str()], "the second wait");
    assert_eq!(app.tell("e", "second").await, [Told::Delivered(run_id.clone())]);
    let outcomes = app.outcomes(&run_id).await;
    assert_eq!(outcomes, [Outcome::Together(vec![received("first"), Outcome::Ran]), received("second")]);
}
