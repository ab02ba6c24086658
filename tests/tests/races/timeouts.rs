//! Timeout against event: exactly one of them resolves a wait, and a wait that has timed out is gone.

use std::time::Duration;

use bytes::Bytes;
use workflow_engine::EngineError;
use workflow_tests::{
    START, TestApp, Told,
    remote::{self},
    script::{Outcome, hold, received, run, sleep, together, wait, wait_for},
};

const MINUTE: Duration = Duration::from_secs(60);

/// 2b B.9: event and deadline at the same moment. The answer to the sender and what the run sees agree, also after a restart.
#[tokio::test(flavor = "multi_thread")]
async fn event_and_timeout_at_the_same_moment_have_one_winner() {
    let mut app = TestApp::on_file();
    let mut expected = Vec::new();
    for number in 0..100 {
        let run_id = app.start([wait_for("e", MINUTE), wait_for("e", MINUTE)]).await;
        app.waiting("e", 1).await;
        let clock = std::sync::Arc::clone(&app.clock);
        let mover = tokio::task::spawn_blocking(move || clock.advance(MINUTE));
        for _ in 0..number % 8 {
            tokio::task::yield_now().await;
        }
        let told = app.tell_run(&run_id, "e", "now").await.unwrap();
        mover.await.unwrap();
        let first = match told {
            // The first wait got it, or has timed out and the second one got it.
            Told::Delivered(_) => None,
            // The first wait had timed out, and the second one was not registered yet.
            Told::Stored(_) => Some(Outcome::TimedOut),
            Told::Refused(..) => panic!("{told:?}"),
        };
        // Whatever is left times out now.
        workflow_tests::eventually("the run ends", async || {
            app.advance(MINUTE);
            app.log(&run_id).await.workflow_run_completed_at
        })
        .await;
        let outcomes = app.outcomes(&run_id).await;
        let both = [received("now"), Outcome::TimedOut];
        assert!(outcomes.iter().all(|outcome| both.contains(outcome)), "{told:?} {outcomes:?}");
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == received("now")).count(), 1, "{outcomes:?}");
        if let Some(first) = first {
            assert_eq!(outcomes[0], first, "{told:?}");
        }
        expected.push((run_id, outcomes));
    }
    app.crash().await;
    for (run_id, outcomes) in expected {
        assert_eq!(app.outcomes(&run_id).await, outcomes);
    }
}

/// 2b B.9: the deadline itself is too late, a millisecond before is not.
#[tokio::test]
async fn a_wait_ends_exactly_at_its_deadline() {
    let app = TestApp::in_memory();
    let early = app.start([wait_for("early", MINUTE)]).await;
    let late = app.start([wait_for("late", MINUTE)]).await;
    app.waiting("early", 1).await;
    app.waiting("late", 1).await;
    app.advance(MINUTE - Duration::from_millis(1));
    assert_eq!(app.tell("early", "in time").await, [Told::Delivered(early.clone())]);
    app.advance(Duration::from_millis(1));
    assert_eq!(app.tell("late", "too late").await, []);
    assert_eq!(app.outcomes(&early).await, [received("in time")]);
    assert_eq!(app.outcomes(&late).await, [Outcome::TimedOut]);
}

/// 2b B.10: a wait that has timed out is not listed any more and takes no event away from the next one.
#[tokio::test]
async fn a_timed_out_wait_consumes_no_later_event() {
    let app = TestApp::in_memory();
    let run_id = app.start([wait_for("e", MINUTE), hold("between"), wait("e"), wait("e")]).await;
    app.waiting("e", 1).await;
    app.advance(MINUTE);
    app.probe.reached("between", 1).await;
    assert_eq!(app.waiters("e").await, [] as [String; 0]);
    assert_eq!(app.tell("e", "to nobody").await, []);
    app.probe.open("between");
    for data in ["one", "two"] {
        app.waiting("e", 1).await;
        assert_eq!(app.tell("e", data).await, [Told::Delivered(run_id.clone())]);
    }
    let outcomes = app.outcomes(&run_id).await;
    assert_eq!(outcomes, [Outcome::TimedOut, Outcome::Ran, received("one"), received("two")]);
}

/// 2b B.11: the timeout has fired, but the run has not been called again yet. The event goes to the next wait.
#[tokio::test]
async fn an_event_between_a_timeout_and_the_resumption_goes_to_the_next_wait() {
    let mut app = TestApp::on_file();
    let run_id = app.start([wait_for("e", MINUTE), wait("e")]).await;
    app.waiting("e", 1).await;
    app.crash_unattached().await;
    app.advance(MINUTE);
    assert_eq!(app.tell_run(&run_id, "e", "late").await.unwrap(), Told::Stored(run_id.clone()));
    app.attach();
    assert_eq!(app.outcomes(&run_id).await, [Outcome::TimedOut, received("late")]);
}

/// 2b B.12: the process was away for days when the deadline came.
#[tokio::test]
async fn a_timeout_that_fell_due_while_the_engine_was_down_fires_at_its_start() {
    let mut app = TestApp::on_file();
    let run_id = app.start([wait_for("e", MINUTE), wait("e")]).await;
    app.waiting("e", 1).await;
    app.engine.shutdown_within(Duration::ZERO).await;
    app.advance(Duration::from_secs(5 * 24 * 3600));
    app.reopen();
    assert_eq!(app.tell("e", "too late").await, [], "nobody can be told after the deadline");
    app.attach();
    app.waiting("e", 1).await;
    assert_eq!(app.tell("e", "in time").await, [Told::Delivered(run_id.clone())]);
    assert_eq!(app.outcomes(&run_id).await, [Outcome::TimedOut, received("in time")]);
}

/// 2b B.12: thousands of waits and sleeps that end at the same moment: none is forgotten.
#[tokio::test]
async fn thousands_of_timers_of_one_moment_all_fire() {
    let app = TestApp::in_memory();
    let waits = (0..2500).map(|_| app.client.trigger_url("/script", &[wait_for("e", MINUTE)]));
    let sleeps = (0..2500).map(|_| app.client.trigger_url("/script", &[sleep(MINUTE), run("slept")]));
    let waits = app.client.trigger_many(waits).await.unwrap();
    let sleeps = app.client.trigger_many(sleeps).await.unwrap();
    app.waiting("e", 2500).await;
    for sleeping in &sleeps {
        app.recorded(&sleeping.workflow_run_id, 1).await;
    }
    app.advance(MINUTE);
    for waiting in &waits {
        assert_eq!(app.outcomes(&waiting.workflow_run_id).await, [Outcome::TimedOut]);
    }
    for sleeping in &sleeps {
        assert_eq!(app.outcomes(&sleeping.workflow_run_id).await, [Outcome::Slept, Outcome::Ran]);
    }
    assert_eq!(app.probe.count("slept"), 2500);
    app.engine.shutdown().await;
}

/// 2b B.10: an event that comes after the deadline reaches no wait whose timeout is still to be recorded, however many there are.
#[tokio::test]
async fn an_event_after_the_deadline_reaches_none_of_thousands_of_waits() {
    let app = TestApp::in_memory();
    let waits = (0..2500).map(|_| app.client.trigger_url("/script", &[wait_for("e", MINUTE)]));
    let waits = app.client.trigger_many(waits).await.unwrap();
    app.waiting("e", 2500).await;
    app.advance(MINUTE);
    assert_eq!(app.tell("e", "late").await, []);
    for waiting in &waits {
        assert_eq!(app.outcomes(&waiting.workflow_run_id).await, [Outcome::TimedOut]);
    }
    app.engine.shutdown().await;
}

/// 2b B.12: a clock that is set back and forward again fires nothing early, nothing twice, and forgets nothing.
#[tokio::test]
async fn a_clock_that_jumps_back_and_forward_neither_loses_nor_repeats_a_timer() {
    let app = TestApp::in_memory();
    let waiting = app.start([wait_for("e", MINUTE), wait("e")]).await;
    let sleeping = app.start([sleep(MINUTE), hold("slept")]).await;
    app.waiting("e", 1).await;
    app.recorded(&sleeping, 1).await;

    app.clock.set(START - 3_600_000);
    let meanwhile = app.start([sleep(MINUTE)]).await;
    app.recorded(&meanwhile, 1).await;
    assert_eq!(app.waiters("e").await, [waiting.as_str()]);
    app.clock.set(START - 3_600_000 + 60_000);
    assert_eq!(app.outcomes(&meanwhile).await, [Outcome::Slept], "a timer that begins after the jump back");
    assert_eq!(app.waiters("e").await, [waiting.as_str()]);

    app.clock.set(START + 60_000);
    app.probe.reached("slept", 1).await;
    app.recorded(&waiting, 1).await;
    app.waiting("e", 1).await;
    app.clock.set(START);
    app.clock.set(START + 60_000);
    assert_eq!(app.waiters("e").await, [waiting.as_str()], "the second wait has a deadline of its own");
    app.tell("e", "done").await;
    assert_eq!(app.outcomes(&waiting).await, [Outcome::TimedOut, received("done")]);
    app.probe.open("slept");
    assert_eq!(app.outcomes(&sleeping).await, [Outcome::Slept, Outcome::Ran]);
    assert_eq!(app.probe.count("slept"), 1);
}

/// 2b B.13: no time at all: the wait takes what is stored, and times out at once otherwise.
#[tokio::test]
async fn a_timeout_of_zero_looks_once() {
    let app = TestApp::in_memory();
    let zero = Duration::ZERO;
    let run_id =
        app.start([wait_for("e", zero), hold("hold"), wait_for("e", zero), wait_for("e", zero)]).await;
    app.probe.reached("hold", 1).await;
    app.tell_run(&run_id, "e", "stored").await.unwrap();
    app.probe.open("hold");
    let outcomes = app.outcomes(&run_id).await;
    assert_eq!(outcomes, [Outcome::TimedOut, Outcome::Ran, received("stored"), Outcome::TimedOut]);
}

/// 2b B.13: a timeout that no clock will ever reach.
#[tokio::test]
async fn the_longest_timeout_waits_for_ever() {
    let app = TestApp::in_memory();
    let run_id = app.start([wait_for("e", Duration::MAX), sleep(MINUTE), wait_for("e", Duration::MAX)]).await;
    app.waiting("e", 1).await;
    app.advance(Duration::from_secs(1_000_000_000));
    assert_eq!(app.tell("e", "one").await, [Told::Delivered(run_id.clone())]);
    app.recorded(&run_id, 2).await;
    app.advance(MINUTE);
    app.waiting("e", 1).await;
    assert_eq!(app.tell("e", "two").await, [Told::Delivered(run_id.clone())]);
    assert_eq!(app.outcomes(&run_id).await, [received("one"), Outcome::Slept, received("two")]);
}

/// 2b B.13: timeouts as endpoints over HTTP write them.
#[tokio::test]
async fn a_timeout_over_http_is_a_duration_or_a_number_of_seconds() {
    let app = TestApp::in_memory();
    // It never starts; its waits are registered by hand.
    let trigger =
        app.client.trigger_url("http://127.0.0.1:9/", &()).delay(Duration::from_secs(1_000_000_000));
    let run_id = trigger.await.unwrap().workflow_run_id;
    for (step, (timeout, seconds)) in
        [("10", 10), ("0", 0), ("90s", 90), ("7d", 604_800), ("1h30m", 5400)].into_iter().enumerate()
    {
        let step = u32::try_from(step + 1).unwrap();
        remote::wait(&app.engine, &run_id, timeout, step, timeout).await.unwrap();
        if seconds > 0 {
            let deadline = app.client.get_waiters(timeout).await.unwrap()[0].deadline;
            assert_eq!(deadline, START / 1000 + seconds, "{timeout}");
        } else {
            assert_eq!(app.waiting(timeout, 0).await, [] as [String; 0]);
        }
    }
    for bad in ["-5s", "-1", "", "soon", "9223372036854775808s", "99999999999999999999", "1e3s"] {
        let refusal = remote::wait(&app.engine, &run_id, "bad", 100, bad).await.unwrap_err();
        assert!(matches!(refusal, EngineError::Invalid(_)), "{bad}: {refusal}");
        assert!(refusal.to_string().contains("timeout"), "{bad}: {refusal}");
    }
    assert_eq!(app.waiters("bad").await, [] as [String; 0], "a refused wait leaves nothing behind");
    app.engine.end_run(&run_id, None, false, Bytes::new()).await.unwrap();
}

/// 2b C.17: a wait beside a sleep: the group goes on when both are over, and the timeout of the wait is seen.
#[tokio::test]
async fn a_wait_beside_a_sleep_keeps_its_own_timeout() {
    let app = TestApp::in_memory();
    let short_wait = app.start([together([wait_for("never", MINUTE), sleep(2 * MINUTE)])]).await;
    let short_sleep = app.start([together([wait_for("never", 2 * MINUTE), sleep(MINUTE)])]).await;
    let event = app.start([together([wait("e"), sleep(2 * MINUTE)])]).await;
    app.waiting("never", 2).await;
    app.waiting("e", 1).await;
    app.advance(MINUTE);
    assert_eq!(app.waiters("never").await, [short_sleep.as_str()]);
    assert_eq!(app.tell("e", "came").await, [Told::Delivered(event.clone())]);
    app.advance(MINUTE);
    let timed_out = [Outcome::Together(vec![Outcome::TimedOut, Outcome::Slept])];
    assert_eq!(app.outcomes(&short_wait).await, timed_out);
    assert_eq!(app.outcomes(&short_sleep).await, timed_out);
    assert_eq!(app.outcomes(&event).await, [Outcome::Together(vec![received("came"), Outcome::Slept])]);
}
