//! Sleeps: never shorter, not a moment longer than asked for, and not begun again by a restart.

use std::time::Duration;

use workflow_tests::{
    START, TestApp,
    script::{Op, Outcome, flaky, hold, run, sleep, together},
};

const HOUR: Duration = Duration::from_secs(3600);

/// A run wakes at exactly the time that it has asked for, to the millisecond.
#[tokio::test]
async fn a_sleep_ends_exactly_when_it_is_over() {
    let app = TestApp::in_memory();
    for (round, milliseconds) in [1, 7, 333, 1001, 59_999, 86_399_999].into_iter().enumerate() {
        let length = Duration::from_millis(milliseconds);
        let started = u64::try_from(workflow_engine::Clock::now(&*app.clock)).unwrap();
        let until = Op::SleepUntil(Duration::from_millis(started) + length);
        let place = format!("{milliseconds}");
        let sleeper = app.start([sleep(length), run(&place)]).await;
        let until_then = app.start([until, run(&place)]).await;
        app.recorded(&sleeper, 1).await;
        app.recorded(&until_then, 1).await;
        app.advance(length - Duration::from_millis(1));
        // An answer of the engine, after it has seen the time.
        app.tell("nobody", "waits").await;
        app.advance(Duration::from_millis(1));
        assert_eq!(app.outcomes(&sleeper).await, [Outcome::Slept, Outcome::Ran]);
        assert_eq!(app.outcomes(&until_then).await, [Outcome::Slept, Outcome::Ran]);
        let calls = app.probe.count("script");
        assert_eq!(calls, 4 * (round + 1), "each run is called once to sleep and once when that is over");
    }
}

/// A time that is past, and no time at all, are no sleep.
#[tokio::test]
async fn a_sleep_until_a_time_that_is_past_is_over_at_once() {
    let app = TestApp::in_memory();
    let now = Duration::from_millis(START.unsigned_abs());
    let run_id = app
        .start([
            Op::SleepUntil(Duration::ZERO),
            Op::SleepUntil(now - Duration::from_millis(1)),
            Op::SleepUntil(now),
            sleep(Duration::ZERO),
        ])
        .await;
    assert_eq!(app.outcomes(&run_id).await, [const { Outcome::Slept }; 4]);
}

/// A restart does not begin a sleep again: it ends when it would have.
#[tokio::test]
async fn a_restart_does_not_prolong_a_sleep() {
    let mut app = TestApp::on_file();
    let run_id = app.start([run("before"), sleep(HOUR), run("after")]).await;
    app.recorded(&run_id, 2).await;
    app.advance(HOUR / 2);
    app.crash().await;
    app.advance(HOUR / 2);
    assert_eq!(app.outcomes(&run_id).await, [Outcome::Ran, Outcome::Slept, Outcome::Ran]);
    assert_eq!((app.probe.count("before"), app.probe.count("after")), (1, 1));
}

/// Sleeps side by side last as long as the longest, whatever else is in the group; other members run once.
#[tokio::test]
async fn sleeps_side_by_side_last_as_long_as_the_longest() {
    let app = TestApp::in_memory();
    let run_id = app
        .start([
            together([sleep(HOUR), sleep(3 * HOUR), run("beside"), flaky("flaky", 1), sleep(2 * HOUR)]),
            hold("after"),
        ])
        .await;
    app.failed(&run_id, 1).await;
    for _ in 0..2 {
        app.advance(HOUR);
        app.tell("nobody", "waits").await;
    }
    app.recorded(&run_id, 5).await;
    assert_eq!(app.probe.count("after"), 0);
    app.advance(HOUR);
    app.probe.reached("after", 1).await;
    app.probe.open("after");
    app.outcomes(&run_id).await;
    assert_eq!((app.probe.count("beside"), app.probe.count("flaky")), (1, 2));
}
