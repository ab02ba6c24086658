//! Duplicates and lost replies: whatever is sent again changes nothing, and the first result of a step wins.

use std::time::Duration;

use bytes::Bytes;
use workflow::{
    ClientError,
    client::RunState,
    protocol::{Step, StepType, headers},
};
use workflow_engine::{Engine, EngineError, Message, Published};
use workflow_tests::{
    TestApp, Told, remote,
    script::{Outcome, hold, notify, notify_run, notify_self, received, run, together, wait, wait_for},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// 2b E.24: the reply was lost and the sender tries again with the same id: the same answer, marked, and no second event; also
/// when the engine was restarted in between.
#[tokio::test]
async fn a_notification_with_a_known_id_is_answered_again_and_not_repeated() {
    let mut app = TestApp::on_file();
    let run_id = app.start([wait("e"), wait("e")]).await;
    app.waiting("e", 1).await;
    let first = app.client.notify("e", "once").deduplication_id("d").await.unwrap();
    assert_eq!((first.len(), first[0].deduplicated), (1, false));
    app.waiting("e", 1).await;
    for _ in 0..2 {
        let again = app.client.notify("e", "again").deduplication_id("d").await.unwrap();
        assert!(again[0].deduplicated);
        assert_eq!((&again[0].message_id, &again[0].workflow_run_id), (&first[0].message_id, &run_id));
        assert_eq!(again[0].waiter, first[0].waiter);
        app.crash().await;
    }
    assert_eq!(app.waiting("e", 1).await, [run_id.as_str()], "the second wait was not touched");
    app.client.notify("e", "twice").deduplication_id("another").await.unwrap();
    assert_eq!(app.outcomes(&run_id).await, [received("once"), received("twice")]);
}

/// 2b E.24: the same for a notification of one run that is stored.
#[tokio::test]
async fn a_stored_notification_with_a_known_id_is_not_stored_again() {
    let app = TestApp::in_memory();
    let run_id = app.start([hold("busy"), wait("e"), wait("e")]).await;
    for expected in [false, true, true] {
        let told = app.client.notify("e", "once").run_id(&run_id).deduplication_id("d").await.unwrap();
        assert_eq!((told[0].deduplicated, told[0].waiter.is_none()), (expected, true));
    }
    app.client.notify("e", "twice").run_id(&run_id).deduplication_id("d2").await.unwrap();
    app.probe.open("busy");
    assert_eq!(app.outcomes(&run_id).await, [Outcome::Ran, received("once"), received("twice")]);
}

/// 2b E.24: a de-duplication id counts for one event and one receiver, however their ids are spelled.
#[tokio::test]
async fn a_deduplication_id_counts_for_its_own_event_and_run_only() {
    let app = TestApp::in_memory();
    let started =
        app.client.trigger_url("/script", &[wait("b"), wait("b/c"), wait("b")]).run_id("a").await.unwrap();
    let run_id = started.workflow_run_id;
    app.waiting("b", 1).await;
    app.client.notify("b", "1").deduplication_id("c/d").await.unwrap();
    app.waiting("b/c", 1).await;
    let told = app.client.notify("b/c", "2").deduplication_id("d").await.unwrap();
    assert!(!told[0].deduplicated, "another event with the rest of its name in the id");
    app.waiting("b", 1).await;
    let told = app.client.notify("b", "3").run_id(&run_id).deduplication_id("c/d").await.unwrap();
    assert!(!told[0].deduplicated, "another receiver");
    assert_eq!(app.outcomes(&run_id).await, ["1", "2", "3"].map(received));
}

/// 2b E.24: a refusal is not remembered: the sender may try again when the run is there.
#[tokio::test]
async fn a_refused_notification_may_be_sent_again_with_the_same_id() {
    let app = TestApp::in_memory();
    let send = || app.client.notify("e", "data").run_id("wfr_late").deduplication_id("d");
    let refusal = send().await.unwrap_err();
    assert!(matches!(refusal, ClientError::Refused { status: 404, .. }), "{refusal}");
    app.client.trigger_url("/script", &[wait("e")]).run_id("late").await.unwrap();
    assert!(!send().await.unwrap()[0].deduplicated);
    assert_eq!(app.outcomes("wfr_late").await, [received("data")]);
}

/// 2b E.24: a broadcast that reached nobody is an answer, too: sent again, it still reaches nobody.
#[tokio::test]
async fn a_notification_that_reached_nobody_reaches_nobody_when_repeated() {
    let app = TestApp::in_memory();
    assert_eq!(app.client.notify("e", "data").deduplication_id("d").await.unwrap(), []);
    let run_id = app.start([wait("e")]).await;
    app.waiting("e", 1).await;
    assert_eq!(app.client.notify("e", "data").deduplication_id("d").await.unwrap(), []);
    assert_eq!(app.waiters("e").await, [run_id]);
}

/// 2b E.24: a trigger with a chosen id, sent again: the run that is there goes on, and the answer says so.
#[tokio::test]
async fn a_trigger_with_a_known_run_id_starts_nothing() {
    let mut app = TestApp::on_file();
    let trigger =
        |app: &TestApp| app.client.trigger_url("/script", &[run("ran"), wait("e")]).run_id("order-7");
    let first = trigger(&app).await.unwrap();
    assert!(!first.deduplicated);
    app.waiting("e", 1).await;
    for _ in 0..2 {
        let again = trigger(&app).await.unwrap();
        assert!(again.deduplicated);
        assert_eq!(again.workflow_run_id, first.workflow_run_id);
        assert_eq!(again.workflow_created_at, first.workflow_created_at);
        app.crash().await;
    }
    let many = app.client.trigger_many([trigger(&app), trigger(&app)]).await.unwrap();
    assert!(many.iter().all(|triggered| triggered.deduplicated));
    assert_eq!(app.waiters("e").await, ["wfr_order-7"]);
    assert_eq!(app.probe.count("ran"), 1);
    app.tell("e", "go on").await;
    app.ended("wfr_order-7").await;
    assert!(!trigger(&app).await.unwrap().deduplicated, "after its end the id is free again");
    app.probe.reached("ran", 2).await;
}

/// 2b E.24: the same id twice in one request.
#[tokio::test]
async fn one_run_id_twice_in_a_batch_is_one_run() {
    let app = TestApp::in_memory();
    let trigger = || app.client.trigger_url("/script", &[run("ran")]).run_id("twin");
    let both = app.client.trigger_many([trigger(), trigger()]).await.unwrap();
    assert_eq!(both.iter().map(|triggered| triggered.deduplicated).collect::<Vec<_>>(), [false, true]);
    app.ended("wfr_twin").await;
    assert_eq!(app.probe.count("ran"), 1);
}

fn step(step_id: u32, out: &str) -> Step {
    Step { out: Some(out.to_owned()), ..Step::new(step_id, "step", StepType::Run) }
}

async fn submit(engine: &Engine, run_id: &str, step: &Step) -> Result<Published, EngineError> {
    let message = Message {
        destination: "http://127.0.0.1:9/".to_owned(),
        headers: vec![
            (headers::WORKFLOW_INIT.to_owned(), "false".to_owned()),
            (headers::WORKFLOW_RUN_ID.to_owned(), run_id.to_owned()),
        ],
        body: serde_json::to_vec(step).unwrap().into(),
        ..Message::default()
    };
    Ok(engine.publish(vec![message]).await?.remove(0))
}

/// A run whose endpoint is another process that is never called.
async fn remote_run(app: &TestApp) -> String {
    let trigger = app.client.trigger_url("http://127.0.0.1:9/", &()).delay(1000 * DAY);
    trigger.await.unwrap().workflow_run_id
}

/// 2b E.25: the endpoint was called twice and submits a step twice: the first result counts, the second is answered as a
/// repetition.
#[tokio::test]
async fn the_first_result_of_a_step_wins() {
    let app = TestApp::in_memory();
    let run_id = remote_run(&app).await;
    let first = submit(&app.engine, &run_id, &step(1, "\"first\"")).await.unwrap();
    assert!(!first.deduplicated);
    for result in ["\"first\"", "\"second\""] {
        let again = submit(&app.engine, &run_id, &step(1, result)).await.unwrap();
        assert!(again.deduplicated);
        assert_eq!(again.message_id, first.message_id);
    }
    let steps = app.steps(&run_id).await;
    assert_eq!(steps.len(), 1);
    assert_eq!(steps[0].out.as_deref(), Some("\"first\""));
    app.client.cancel_run(run_id).await.unwrap();
}

/// 2b E.25: a wait that is requested twice is one wait; once it is resolved, a repetition registers nothing.
#[tokio::test]
async fn a_wait_over_http_that_is_requested_again_is_one_wait() {
    let app = TestApp::in_memory();
    let run_id = remote_run(&app).await;
    for _ in 0..3 {
        remote::wait(&app.engine, &run_id, "e", 1, "1d").await.unwrap();
    }
    assert_eq!(app.waiters("e").await, [run_id.as_str()]);
    assert_eq!(app.tell("e", "data").await, [Told::Delivered(run_id.clone())]);
    remote::wait(&app.engine, &run_id, "e", 1, "1d").await.unwrap();
    assert_eq!(app.waiters("e").await, [] as [String; 0]);
    assert_eq!(app.tell_run(&run_id, "e", "next").await.unwrap(), Told::Stored(run_id.clone()));
    remote::wait(&app.engine, &run_id, "e", 1, "1d").await.unwrap();
    remote::wait(&app.engine, &run_id, "e", 2, "1d").await.unwrap();
    let received: Vec<_> = app.steps(&run_id).await.into_iter().map(|step| step.out.unwrap()).collect();
    assert_eq!(received, ["\"data\"", "\"next\""]);
    app.client.cancel_run(run_id).await.unwrap();
}

/// 2b E.26: two notifications and one waiter: never do both claim to have delivered.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_racing_notifications_one_takes_the_waiter() {
    let app = TestApp::in_memory();
    for round in 0..50 {
        let busy = format!("busy {round}");
        let run_id = app.start([wait("e"), hold(&busy), wait("e")]).await;
        app.waiting("e", 1).await;
        let (one, two) = tokio::join!(app.tell_run(&run_id, "e", "one"), app.tell_run(&run_id, "e", "two"));
        let told = [one.unwrap(), two.unwrap()];
        let (first, second) =
            if told[0] == Told::Delivered(run_id.clone()) { ("one", "two") } else { ("two", "one") };
        assert!(told.contains(&Told::Stored(run_id.clone())), "{told:?}");
        assert!(told.contains(&Told::Delivered(run_id.clone())), "{told:?}");
        app.probe.open(&busy);
        assert_eq!(app.outcomes(&run_id).await, [received(first), Outcome::Ran, received(second)]);
    }
}

/// 2b E.26: the same with notifications of everybody: exactly one of ten answers names the waiter.
#[tokio::test(flavor = "multi_thread")]
async fn of_ten_racing_broadcasts_one_names_the_waiter() {
    let app = TestApp::in_memory();
    for _ in 0..20 {
        let run_id = app.start([wait("e")]).await;
        app.waiting("e", 1).await;
        let senders = (0..10).map(|number| {
            let client = app.client.clone();
            tokio::spawn(async move { (number, client.notify("e", &number).await.unwrap()) })
        });
        let mut winners = Vec::new();
        for sender in senders.collect::<Vec<_>>() {
            let (number, notified) = sender.await.unwrap();
            winners.extend(notified.into_iter().map(|notified| (number, notified.workflow_run_id)));
        }
        assert_eq!(winners.len(), 1, "{winners:?}");
        assert_eq!(winners[0].1, run_id);
        assert_eq!(app.outcomes(&run_id).await, [received(&winners[0].0.to_string())]);
    }
}

/// 2b E.27: a notification from a workflow is delivered and recorded at once: however often its process dies right after, it is
/// delivered once.
#[tokio::test]
async fn a_notification_of_a_workflow_is_delivered_once_across_crashes() {
    let mut app = TestApp::on_file();
    let waiting = app.start([wait("e"), wait("e")]).await;
    app.waiting("e", 1).await;
    let telling = app.start([notify("e", "once"), hold("after")]).await;
    for time in 1..=3 {
        app.probe.reached("after", time).await;
        app.crash().await;
    }
    assert_eq!(app.waiting("e", 1).await, [waiting.as_str()], "the second wait got nothing");
    app.probe.open("after");
    let told = Outcome::Told(vec![Told::Delivered(waiting.clone())]);
    assert_eq!(app.outcomes(&telling).await, [told, Outcome::Ran]);
    app.tell("e", "twice").await;
    assert_eq!(app.outcomes(&waiting).await, [received("once"), received("twice")]);
}

/// 2b E.27: a workflow that notifies itself: its later waits get it, in order.
#[tokio::test]
async fn a_workflow_may_notify_itself() {
    let app = TestApp::in_memory();
    let run_id = app.start([notify_self("e", "one"), notify_self("e", "two"), wait("e"), wait("e")]).await;
    let stored = Outcome::Told(vec![Told::Stored(run_id.clone())]);
    assert_eq!(app.outcomes(&run_id).await, [stored.clone(), stored, received("one"), received("two")]);
}

/// 2b E.27: the same side by side: a wait and the notification that ends it, in one group.
#[tokio::test]
async fn a_workflow_may_notify_a_wait_beside() {
    let app = TestApp::in_memory();
    let ops = [together([wait("e"), notify("e", "side by side"), wait_for("never", Duration::ZERO)])];
    let run_id = app.start(ops).await;
    let told = Outcome::Told(vec![Told::Delivered(run_id.clone())]);
    let outcomes = [Outcome::Together(vec![received("side by side"), told, Outcome::TimedOut])];
    assert_eq!(app.outcomes(&run_id).await, outcomes);
}

/// 2b E.27: a notification that is refused is recorded as such: the workflow sees why and goes on.
#[tokio::test]
async fn a_workflow_sees_that_its_notification_was_refused() {
    let app = TestApp::in_memory();
    let ended = app.start([run("at once")]).await;
    app.ended(&ended).await;
    let run_id =
        app.start([notify_run(&ended, "e", "x"), notify_run("wfr_none", "e", "x"), notify("e", "x")]).await;
    let outcomes = app.outcomes(&run_id).await;
    let [Outcome::Told(late), Outcome::Told(unknown), Outcome::Told(nobody)] = &outcomes[..] else {
        panic!("{outcomes:?}");
    };
    let [Told::Refused(run, why)] = &late[..] else { panic!("{late:?}") };
    assert!(*run == ended && why.contains("has ended"), "{why}");
    let [Told::Refused(run, why)] = &unknown[..] else { panic!("{unknown:?}") };
    assert!(run == "wfr_none" && why.contains("no run"), "{why}");
    assert_eq!(nobody, &[]);
}

/// 2b E.25: a run of this process is no business of endpoints over HTTP: what they submit for it is refused, and the run is not
/// disturbed.
#[tokio::test]
async fn a_submission_for_a_run_of_this_process_is_refused() {
    let app = TestApp::in_memory();
    let run_id = app.start([run("first"), wait("e"), run("last")]).await;
    app.waiting("e", 1).await;
    let refusals = [
        submit(&app.engine, &run_id, &step(2, "1")).await.unwrap_err(),
        submit(&app.engine, &run_id, &step(7, "1")).await.unwrap_err(),
        remote::wait(&app.engine, &run_id, "e", 2, "1d").await.unwrap_err(),
        remote::wait(&app.engine, &run_id, "e", 7, "1d").await.unwrap_err(),
    ];
    for refusal in refusals {
        assert!(matches!(refusal, EngineError::Refused(_)), "{refusal}");
        assert!(refusal.to_string().contains(&run_id), "{refusal}");
    }
    assert_eq!(app.waiters("e").await, [run_id.as_str()]);
    app.tell("e", "on").await;
    assert_eq!(app.outcomes(&run_id).await, [Outcome::Ran, received("on"), Outcome::Ran]);
}

/// 2b E.25: a result of a run that has ended is refused as such, and changes nothing.
#[tokio::test]
async fn a_result_after_the_end_is_refused() {
    let app = TestApp::in_memory();
    let run_id = remote_run(&app).await;
    submit(&app.engine, &run_id, &step(1, "1")).await.unwrap();
    app.engine.end_run(&run_id, None, false, Bytes::from_static(b"\"over\"")).await.unwrap();
    let refusal = submit(&app.engine, &run_id, &step(2, "2")).await.unwrap_err();
    assert!(matches!(refusal, EngineError::Ended(_)), "{refusal}");
    assert_eq!(refusal.status(), 400);
    let refusal = remote::wait(&app.engine, &run_id, "e", 3, "1d").await.unwrap_err();
    assert!(matches!(refusal, EngineError::Ended(_)), "{refusal}");
    // A repeated success is a success; a later cancellation is not.
    app.engine.end_run(&run_id, None, false, Bytes::from_static(b"\"changed\"")).await.unwrap();
    assert_eq!(app.engine.end_run(&run_id, None, true, Bytes::new()).await.unwrap_err().status(), 404);
    let log = app.log(&run_id).await;
    assert_eq!(log.workflow_state, RunState::RunSuccess);
    assert_eq!(log.workflow_run_response.as_deref(), Some("\"over\""));
    assert_eq!(app.steps(&run_id).await.len(), 1);
}
