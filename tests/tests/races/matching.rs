//! Matching and isolation: an event reaches the waits on exactly that event, and every wait an event of its own.

use std::{collections::BTreeMap, time::Duration};

use axum::{extract::State, routing::post};
use workflow::{ClientError, WaitResult, WorkflowContext, client::RunState, workflow};
use workflow_tests::{
    Probe, TestApp, Told,
    script::{LONG, Outcome, hold, received, together, wait},
};

/// Ids that a URL, a SQL pattern, a path or a key could take apart.
const IDS: &[&str] = &[
    "order",
    "order ",
    "Order",
    "order%",
    "order_",
    "orde*",
    "order/1",
    "order%2F1",
    "order//1",
    "order/1/",
    "a/b",
    "a",
    "b",
    "?x=1",
    "#anchor",
    "100%",
    "%25",
    "a&b=c",
    "a+b",
    "a:b",
    "..",
    ".",
    "'; DROP TABLE waiters; --",
    "\"quoted\"",
    "back\\slash",
    "größe-ß",
    "große-ss",
    "日本語",
    "e\u{301}",
    "\u{e9}",
    "🦀",
    "0",
    "10",
    "2",
    "null",
];

/// 2b D.19, D.20: every id is only itself, as an event and as a run.
#[tokio::test]
async fn an_event_reaches_the_waits_on_exactly_that_id() {
    let app = TestApp::in_memory();
    let mut runs = BTreeMap::new();
    for id in IDS {
        // The run's id is the event's.
        let started = app.client.trigger_url("/script", &[wait(id), wait(id)]).run_id(*id).await.unwrap();
        assert_eq!(started.workflow_run_id, format!("wfr_{id}"));
        assert!(!started.deduplicated, "{id}");
        runs.insert(*id, started.workflow_run_id);
    }
    for (id, run_id) in &runs {
        assert_eq!(app.waiting(id, 1).await, [run_id.as_str()], "{id}");
        assert_eq!(app.tell(id, &format!("to all of {id}")).await, [Told::Delivered(run_id.clone())]);
    }
    for (id, run_id) in &runs {
        app.waiting(id, 1).await;
        let told = app.tell_run(run_id, id, &format!("to one of {id}")).await.unwrap();
        assert_eq!(told, Told::Delivered(run_id.clone()), "{id}");
    }
    for (id, run_id) in &runs {
        let expected = [received(&format!("to all of {id}")), received(&format!("to one of {id}"))];
        assert_eq!(app.outcomes(run_id).await, expected, "{id}");
        assert_eq!(app.waiters(id).await, [] as [String; 0]);
    }
}

/// 2b D.19: a notification of one run does not reach another one that waits for the same event.
#[tokio::test]
async fn a_notification_of_one_run_stays_with_that_run() {
    let app = TestApp::in_memory();
    let busy = app.start([hold("busy"), wait("e")]).await;
    let waiting = app.start([wait("e")]).await;
    app.probe.reached("busy", 1).await;
    app.waiting("e", 1).await;
    // Stored for the busy one although another one waits.
    assert_eq!(app.tell_run(&busy, "e", "for busy").await.unwrap(), Told::Stored(busy.clone()));
    assert_eq!(app.waiters("e").await, [waiting.as_str()]);
    app.probe.open("busy");
    assert_eq!(app.outcomes(&busy).await, [Outcome::Ran, received("for busy")]);
    assert_eq!(app.tell("e", "for all").await, [Told::Delivered(waiting.clone())]);
    assert_eq!(app.outcomes(&waiting).await, [received("for all")]);
}

/// 2b D.20: event `a/b` of a run, and event `b` of the run `a`.
#[tokio::test]
async fn a_slash_does_not_mix_up_run_and_event() {
    let app = TestApp::in_memory();
    let ops = [hold("busy"), wait("b"), wait("a/b")];
    for id in ["a", "wfr_a/b"] {
        app.client.trigger_url("/script", &ops).run_id(id).await.unwrap();
    }
    app.probe.reached("busy", 2).await;
    for (run_id, event) in [("wfr_a", "b"), ("wfr_a", "a/b"), ("wfr_a/b", "b"), ("wfr_a/b", "a/b")] {
        let told = app.tell_run(run_id, event, &format!("{event} of {run_id}")).await.unwrap();
        assert_eq!(told, Told::Stored(run_id.to_owned()));
    }
    app.probe.open("busy");
    for run_id in ["wfr_a", "wfr_a/b"] {
        let expected =
            [Outcome::Ran, received(&format!("b of {run_id}")), received(&format!("a/b of {run_id}"))];
        assert_eq!(app.outcomes(run_id).await, expected);
    }
}

/// 2b D.20: ids that cannot be: empty, endless, or with control characters. The sender is told, and a run that waits for such
/// an event fails at once and says why.
#[tokio::test]
async fn an_impossible_id_is_refused_with_the_reason() {
    let app = TestApp::in_memory();
    let long = "x".repeat(513);
    for (bad, why) in [("", "empty"), (long.as_str(), "513 bytes"), ("line\nbreak", "control characters")] {
        let refusals = [
            app.client.notify(bad, "x").await.unwrap_err(),
            app.client.notify(bad, "x").run_id("wfr_any").await.unwrap_err(),
            app.client.get_waiters(bad).await.unwrap_err(),
        ];
        for refusal in refusals {
            assert!(matches!(refusal, ClientError::Refused { status: 400, .. }), "{bad:?}: {refusal}");
            assert!(refusal.to_string().contains(why), "{bad:?}: {refusal}");
        }
        let run_id = app.start([wait(bad)]).await;
        let log = app.ended(&run_id).await;
        assert_eq!(log.workflow_state, RunState::RunFailed);
        assert!(format!("{log:?}").contains(why), "{log:#?}");
    }
    let refusal = app.client.trigger_url("/script", &[wait("e")]).run_id("x".repeat(513)).await.unwrap_err();
    assert!(matches!(refusal, ClientError::Refused { status: 400, .. }), "{refusal}");
}

/// 2b D.21: every wait gets a payload of its own, not the first one again.
#[tokio::test]
async fn each_wait_gets_the_payload_of_its_own_event() {
    let app = TestApp::in_memory();
    let run_id = app.start([wait("e"), wait("f"), wait("e"), wait("f")]).await;
    for (event, data) in [("e", "e1"), ("f", "f1"), ("e", "e2"), ("f", "f2")] {
        app.waiting(event, 1).await;
        assert_eq!(app.tell(event, data).await, [Told::Delivered(run_id.clone())]);
    }
    assert_eq!(app.outcomes(&run_id).await, ["e1", "f1", "e2", "f2"].map(received));
}

/// 2b D.22: stored notifications come in the order in which they were sent, also beyond nine, where text sorts otherwise than
/// numbers.
#[tokio::test]
async fn more_than_nine_stored_notifications_come_in_order() {
    let mut app = TestApp::on_file();
    let run_id = app.start([vec![hold("busy")], vec![wait("e"); 25], vec![wait("f"); 3]].concat()).await;
    app.probe.reached("busy", 1).await;
    let mut expected = vec![Outcome::Ran];
    for number in 1..=25 {
        let data = format!("e{number}");
        assert_eq!(app.tell_run(&run_id, "e", &data).await.unwrap(), Told::Stored(run_id.clone()));
        expected.push(received(&data));
        if number % 10 == 0 {
            app.tell_run(&run_id, "f", &format!("f{number}")).await.unwrap();
        }
    }
    app.tell_run(&run_id, "f", "f30").await.unwrap();
    expected.extend(["f10", "f20", "f30"].map(received));
    app.crash().await;
    app.probe.open("busy");
    assert_eq!(app.outcomes(&run_id).await, expected);
}

#[workflow]
async fn collect(ctx: WorkflowContext<u32>, State(probe): State<Probe>) -> workflow::Result<Vec<u32>> {
    let mut collected = Vec::new();
    while collected.len() < *ctx.request_payload() as usize {
        match ctx.wait_for_event::<u32>("next", "number", LONG).await? {
            WaitResult::Received(number) => collected.push(number),
            WaitResult::TimedOut => break,
        }
        ctx.run("note", async || Ok(probe.pass("note"))).await?;
    }
    Ok(collected)
}

/// 2b D.23: the same names in every turn of a loop: the k-th notification goes to the k-th wait, live and stored, with restarts
/// in between.
#[tokio::test]
async fn the_kth_notification_goes_to_the_kth_wait_of_a_loop() {
    let mut app =
        TestApp::on_file_with(|router| router.route("/collect", post(workflow_axum::serve::<collect>())));
    let run_id = app.client.trigger_url("/collect", &30).await.unwrap().workflow_run_id;
    for number in 0..30 {
        if number % 3 == 0 {
            app.waiting("number", 1).await;
        }
        if number % 7 == 0 {
            app.crash().await;
        }
        app.client.notify("number", &number).run_id(&run_id).await.unwrap();
    }
    assert_eq!(app.output::<Vec<u32>>(&run_id).await, (0..30).collect::<Vec<_>>());
}

/// 2b C.16: two waits on one event side by side: a notification of the run goes to the one that has waited longest, a
/// notification of all to both.
#[tokio::test]
async fn waits_on_one_event_side_by_side_are_two_waits() {
    let app = TestApp::in_memory();
    let run_id =
        app.start([together([wait("e"), wait("e"), wait("f")]), together([wait("e"), wait("e")])]).await;
    app.waiting("e", 2).await;
    assert_eq!(app.tell_run(&run_id, "e", "one").await.unwrap(), Told::Delivered(run_id.clone()));
    assert_eq!(app.tell_run(&run_id, "e", "two").await.unwrap(), Told::Delivered(run_id.clone()));
    assert_eq!(app.tell_run(&run_id, "e", "three").await.unwrap(), Told::Stored(run_id.clone()));
    app.tell("f", "f").await;
    app.waiting("e", 1).await;
    assert_eq!(app.tell("e", "four").await, [Told::Delivered(run_id.clone())]);
    let outcomes = app.outcomes(&run_id).await;
    let first = ["one", "two", "f"].map(received).to_vec();
    let second = ["three", "four"].map(received).to_vec();
    assert_eq!(outcomes, [Outcome::Together(first), Outcome::Together(second)]);

    let both = app.start([together([wait("e"), wait("e")])]).await;
    app.waiting("e", 2).await;
    assert_eq!(app.tell("e", "all").await, [Told::Delivered(both.clone()), Told::Delivered(both.clone())]);
    assert_eq!(app.outcomes(&both).await, [Outcome::Together(vec![received("all"); 2])]);
}

/// 2b C.18: a wide group: every one of 1,024 waits gets its own event, and the group goes on when the last is there.
#[tokio::test]
async fn a_group_of_1024_waits_gets_every_event() {
    let app = TestApp::in_memory();
    let event = |number: usize| format!("e{number}");
    let run_id = app.start([together((0..1024).map(|number| wait(&event(number)))), hold("after")]).await;
    for number in (0..1024).rev() {
        let told = app.tell_run(&run_id, &event(number), &number.to_string()).await.unwrap();
        assert!(!matches!(told, Told::Refused(..)), "{told:?}");
    }
    app.probe.reached("after", 1).await;
    app.probe.open("after");
    let outcomes = app.outcomes(&run_id).await;
    let all = (0..1024).map(|number| received(&number.to_string())).collect();
    assert_eq!(outcomes, [Outcome::Together(all), Outcome::Ran]);
    app.engine.shutdown_within(Duration::ZERO).await;
}
