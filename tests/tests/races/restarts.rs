//! Restarts: everything due is found again in the file alone, a committed step never runs again, and no shutdown fails a run.

use std::time::Duration;

use axum::{Router, extract::State, routing::post};
use workflow::{
    ClientError, Error, WorkflowContext,
    client::{LogQuery, RunState},
    workflow,
};
use workflow_engine::{Engine, EngineError};
use workflow_tests::{
    Probe, TestApp, Told,
    remote::Remote,
    script::{LONG, Outcome, flaky, hold, received, run, sleep, together, wait, wait_for},
};

const MINUTE: Duration = Duration::from_secs(60);

/// 2b G.34: after the trigger was acknowledged, before anything was called.
#[tokio::test]
async fn a_crash_right_after_the_trigger_loses_no_run() {
    let mut app = TestApp::unattached();
    let run_id = app.start([run("step")]).await;
    let delayed =
        app.client.trigger_url("/script", &[run("step")]).delay(MINUTE).await.unwrap().workflow_run_id;
    app.crash_unattached().await;
    app.crash().await;
    assert_eq!(app.outcomes(&run_id).await, [Outcome::Ran]);
    app.advance(MINUTE);
    assert_eq!(app.outcomes(&delayed).await, [Outcome::Ran]);
    assert_eq!(app.probe.count("step"), 2);
}

/// 2b G.34: while the second step runs: the first one is not repeated, the second one is.
#[tokio::test]
async fn a_crash_in_a_step_repeats_that_step_only() {
    let mut app = TestApp::on_file();
    let run_id = app.start([run("first"), hold("second"), run("third")]).await;
    for times in 1..=3 {
        app.probe.reached("second", times).await;
        app.crash().await;
    }
    app.probe.open("second");
    assert_eq!(app.outcomes(&run_id).await, [const { Outcome::Ran }; 3]);
    assert_eq!((app.probe.count("first"), app.probe.count("second"), app.probe.count("third")), (1, 4, 1));
}

/// 2b G.34: in a group: the members that are recorded are not repeated, the others are.
#[tokio::test]
async fn a_crash_in_a_group_repeats_what_is_not_recorded() {
    let mut app = TestApp::on_file();
    let group = together([run("done"), hold("running"), wait("e"), sleep(MINUTE), wait("f")]);
    let run_id = app.start([group, run("after")]).await;
    app.waiting("e", 1).await;
    app.waiting("f", 1).await;
    app.recorded(&run_id, 2).await;
    app.probe.reached("running", 1).await;
    assert_eq!(app.tell("e", "before").await, [Told::Delivered(run_id.clone())]);
    app.crash().await;
    app.probe.reached("running", 2).await;
    assert_eq!(app.waiters("f").await, [run_id.as_str()]);
    assert_eq!(app.waiters("e").await, [] as [String; 0], "it has its event already");
    app.advance(MINUTE);
    app.probe.open("running");
    app.recorded(&run_id, 4).await;
    assert_eq!(app.tell("f", "after").await, [Told::Delivered(run_id.clone())]);
    let members = vec![Outcome::Ran, Outcome::Ran, received("before"), Outcome::Slept, received("after")];
    assert_eq!(app.outcomes(&run_id).await, [Outcome::Together(members), Outcome::Ran]);
    assert_eq!((app.probe.count("done"), app.probe.count("running"), app.probe.count("after")), (1, 2, 1));
}

/// 2b G.34: the notification was acknowledged, but the run has not been called: it is told after the restart, once.
#[tokio::test]
async fn a_crash_between_a_notification_and_the_resumption_loses_nothing() {
    let mut app = TestApp::on_file();
    let run_id = app.start([wait("e"), wait("e")]).await;
    app.waiting("e", 1).await;
    app.crash_unattached().await;
    assert_eq!(app.tell("e", "one").await, [Told::Delivered(run_id.clone())]);
    assert_eq!(app.tell("e", "nobody waits").await, []);
    app.crash_unattached().await;
    assert_eq!(app.tell_run(&run_id, "e", "two").await.unwrap(), Told::Stored(run_id.clone()));
    app.crash().await;
    assert_eq!(app.outcomes(&run_id).await, ["one", "two"].map(received));
}

/// 2b G.34: between two attempts of a step: neither the number of attempts nor the time of the next one is forgotten.
#[tokio::test]
async fn a_crash_between_two_attempts_neither_hurries_nor_forgets() {
    let mut app = TestApp::on_file();
    let trigger = app.client.trigger_url("/script", &[flaky("flaky", 2)]).retries(2).retry_delay("60000");
    let run_id = trigger.await.unwrap().workflow_run_id;
    for attempts in 1..=2 {
        app.failed(&run_id, attempts).await;
        app.crash().await;
        app.advance(MINUTE - Duration::from_millis(1));
        app.crash().await;
        assert_eq!(app.failed(&run_id, attempts).await.len(), attempts);
        assert_eq!(app.probe.count("flaky"), attempts);
        app.advance(Duration::from_millis(1));
    }
    assert_eq!(app.outcomes(&run_id).await, [Outcome::Ran]);
    assert_eq!(app.probe.count("flaky"), 3);
}

/// Eight steps whose results are how often each was executed. The payload is the run's name, and a step that hangs when it is
/// executed first.
#[workflow]
async fn count_steps(
    ctx: WorkflowContext<(String, Option<usize>)>,
    State(probe): State<Probe>,
) -> workflow::Result<Vec<usize>> {
    let (name, hanging) = ctx.request_payload();
    let mut counts = Vec::new();
    for step in 0..8 {
        let place = format!("{name}.{step}");
        let count = ctx.run(format!("step {step}"), async || {
            let count = probe.pass(&place);
            if *hanging == Some(step) && count == 1 {
                probe.hold("hanging").await;
            }
            tokio::task::yield_now().await;
            Ok(count)
        });
        counts.push(count.await?);
    }
    Ok(counts)
}

fn routes(router: Router<Probe>) -> Router<Probe> {
    router.route("/count", post(workflow_axum::serve::<count_steps>()))
}

/// 2b G.34: many runs and many crashes, wherever they hit: every run ends, and the result of a step that is used is that of its
/// last execution: after a step is committed it never runs again.
#[tokio::test(flavor = "multi_thread")]
async fn a_committed_step_never_runs_again_however_often_the_engine_stops() {
    const ROUNDS: usize = 20;
    let mut app = TestApp::on_file_with(routes);
    let mut runs = Vec::new();
    for round in 0..ROUNDS {
        // One run is in a step when the engine stops; where the others are, nobody knows.
        let hanging = [Some(round % 8), None, None, None];
        let payloads =
            hanging.into_iter().enumerate().map(|(number, step)| (format!("{round}-{number}"), step));
        let triggers = payloads.map(|payload| (app.client.trigger_url("/count", &payload), payload.0));
        let (triggers, names): (Vec<_>, Vec<_>) = triggers.unzip();
        let started = app.client.trigger_many(triggers).await.unwrap();
        runs.extend(names.into_iter().zip(started.into_iter().map(|started| started.workflow_run_id)));
        app.probe.reached("hanging", round + 1).await;
        app.crash().await;
    }
    let mut repeated = 0;
    for (name, run_id) in runs {
        let used: Vec<usize> = app.output(&run_id).await;
        let executed: Vec<usize> = (0..8).map(|step| app.probe.count(&format!("{name}.{step}"))).collect();
        assert_eq!(used, executed, "{name}");
        repeated += executed.iter().filter(|count| **count > 1).count();
    }
    assert!(repeated >= ROUNDS, "the step that hung runs again");
}

/// 2b G.34: a delivery over HTTP that was under way is made again, and the interruption does not count as a failure.
#[tokio::test]
async fn a_delivery_over_http_that_was_interrupted_is_made_again() {
    let mut app = TestApp::on_file();
    let remote = Remote::start(&app.engine, "e").await;
    let trigger = app.client.trigger_url(remote.url("slow"), &()).retries(0);
    let run_id = trigger.await.unwrap().workflow_run_id;
    app.waiting("e", 1).await;
    app.tell("e", "data").await;
    for times in 1..=2 {
        remote.probe.reached("slow", times).await;
        app.crash().await;
    }
    remote.probe.reached("slow", 3).await;
    assert_eq!(app.log(&run_id).await.workflow_state, RunState::RunStarted);
    assert_eq!(app.errors(&run_id).await, []);
    app.client.cancel_run(&run_id).await.unwrap();
}

/// 2b G.37: two engines would call the same runs. The second one does not get the file, and says why; after a shutdown it does.
#[tokio::test]
async fn a_second_engine_on_the_same_file_is_refused() {
    let mut app = TestApp::on_file();
    let Err(error) = Engine::open(app.file()) else { panic!("the file was opened twice") };
    let message = error.to_string();
    assert!(matches!(error, EngineError::Store(_)), "{message}");
    assert!(message.contains("engine.db") && message.contains("only one engine"), "{message}");
    let run_id = app.start([run("still works")]).await;
    app.outcomes(&run_id).await;
    app.engine.shutdown().await;
    app.reopen();
    assert_eq!(app.outcomes(&run_id).await, [Outcome::Ran]);
}

/// 2b G.38: the timer of a wait that is over does not touch the wait that came after it.
#[tokio::test]
async fn the_timer_of_an_earlier_wait_does_not_end_a_later_one() {
    let mut app = TestApp::on_file();
    let run_id = app.start([wait_for("e", MINUTE), wait_for("e", 3 * MINUTE)]).await;
    app.waiting("e", 1).await;
    app.advance(MINUTE / 2);
    assert_eq!(app.tell("e", "one").await, [Told::Delivered(run_id.clone())]);
    app.waiting("e", 1).await;
    app.advance(MINUTE);
    app.crash().await;
    app.advance(MINUTE);
    assert_eq!(app.waiters("e").await, [run_id.as_str()]);
    assert_eq!(app.tell("e", "two").await, [Told::Delivered(run_id.clone())]);
    assert_eq!(app.outcomes(&run_id).await, ["one", "two"].map(received));
}

/// 2b G.39: a shutdown waits for the step that runs, records it, begins no other one, and the run goes on at the next start.
#[tokio::test]
async fn a_shutdown_lets_the_running_step_end_and_hands_over_the_rest() {
    let mut app = TestApp::on_file();
    let trigger = app.client.trigger_url("/script", &[hold("running"), run("next")]).retries(0);
    let run_id = trigger.await.unwrap().workflow_run_id;
    let group = app.start([together([hold("running"), wait("e"), run("beside")]), run("next")]).await;
    app.probe.reached("running", 2).await;
    app.recorded(&group, 1).await;
    let engine = app.engine.clone();
    let shutdown = tokio::spawn(async move { engine.shutdown_within(Duration::from_secs(60)).await });
    // The shutdown has begun and waits.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!shutdown.is_finished());
    app.probe.open("running");
    shutdown.await.unwrap();
    assert_eq!((app.probe.count("running"), app.probe.count("next")), (2, 0));

    app.reopen();
    assert_eq!(app.steps(&run_id).await.len(), 1);
    assert_eq!(app.steps(&group).await.len(), 2);
    app.attach();
    assert_eq!(app.outcomes(&run_id).await, [Outcome::Ran, Outcome::Ran]);
    app.waiting("e", 1).await;
    app.tell("e", "on").await;
    let members = vec![Outcome::Ran, received("on"), Outcome::Ran];
    assert_eq!(app.outcomes(&group).await, [Outcome::Together(members), Outcome::Ran]);
    assert_eq!((app.probe.count("running"), app.probe.count("beside"), app.probe.count("next")), (2, 1, 2));
}

/// 2b G.39: a shutdown that cannot wait stops the step; that is no failed attempt, not even of a run without retries.
#[tokio::test]
async fn a_shutdown_in_a_hurry_fails_no_run() {
    let mut app = TestApp::on_file();
    let trigger = app.client.trigger_url("/script", &[hold("running"), run("next")]).retries(0);
    let run_id = trigger.await.unwrap().workflow_run_id;
    for times in 1..=3 {
        app.probe.reached("running", times).await;
        app.engine.shutdown_within(Duration::ZERO).await;
        app.probe.left("running").await;
        app.reopen();
        assert_eq!(app.log(&run_id).await.workflow_state, RunState::RunStarted);
        assert_eq!(app.errors(&run_id).await, []);
        app.attach();
    }
    app.probe.open("running");
    assert_eq!(app.outcomes(&run_id).await, [Outcome::Ran, Outcome::Ran]);
}

/// Comes to the place `between` while no step runs, then to a step of the kind that the payload names.
#[workflow]
async fn pause_between_steps(
    ctx: WorkflowContext<String>,
    State(probe): State<Probe>,
) -> workflow::Result<()> {
    ctx.run("first", async || Ok(probe.pass("first"))).await?;
    probe.hold("between").await;
    match ctx.request_payload().as_str() {
        "run" => ctx.run("run", async || Ok(())).await?,
        "stored wait" => drop(ctx.wait_for_event::<()>("wait", "e", LONG).await?),
        "wait without time" => drop(ctx.wait_for_event::<()>("wait", "none", Duration::ZERO).await?),
        "sleep without time" => ctx.sleep("sleep", Duration::ZERO).await?,
        "notify" => drop(ctx.notify("notify", "nobody", &()).await?),
        "recorded failure" => {
            let failed: Result<(), _> =
                ctx.try_run("fail", async || Err(Error::non_retryable("no use"))).await;
            assert!(failed.is_err());
        }
        "return" => return Ok(()),
        other => return Err(Error::non_retryable(format!("`{other}` is no kind of step"))),
    }
    ctx.run("last", async || Ok(probe.pass("last"))).await?;
    Ok(())
}

/// 2b G.39: a run that comes to its next step, whatever it is, when the shutdown has begun: it goes on at the next start.
#[tokio::test]
async fn a_run_that_comes_to_a_step_during_a_shutdown_is_handed_over() {
    for kind in [
        "run",
        "stored wait",
        "wait without time",
        "sleep without time",
        "notify",
        "recorded failure",
        "return",
    ] {
        let mut app = TestApp::on_file_with(|router| {
            router.route("/between", post(workflow_axum::serve::<pause_between_steps>()))
        });
        let run_id = app.client.trigger_url("/between", kind).retries(0).await.unwrap().workflow_run_id;
        app.tell_run(&run_id, "e", "").await.unwrap();
        app.probe.reached("between", 1).await;
        let engine = app.engine.clone();
        let shutdown = tokio::spawn(async move { engine.shutdown_within(Duration::from_secs(60)).await });
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        app.probe.open("between");
        shutdown.await.unwrap();
        app.reopen();
        app.attach();
        app.output::<()>(&run_id).await;
        let is_last = usize::from(kind != "return");
        assert_eq!((app.probe.count("first"), app.probe.count("last")), (1, is_last), "{kind}");
        app.engine.shutdown().await;
    }
}

/// 2b G.39: after a shutdown nothing is taken any more, and nothing pretends to be.
#[tokio::test]
async fn an_engine_that_has_been_shut_down_says_so() {
    for app in [TestApp::in_memory(), TestApp::on_file()] {
        let run_id = app.start([wait("e")]).await;
        app.waiting("e", 1).await;
        app.engine.shutdown().await;
        app.engine.shutdown().await;
        let client = &app.client;
        let answers = [
            client.trigger_url("/script", &()).await.map(drop),
            client.notify("e", "x").await.map(drop),
            client.notify("e", "x").run_id(&run_id).await.map(drop),
            client.cancel_run(&run_id).await.map(drop),
            client.get_waiters("e").await.map(drop),
            client.logs(LogQuery::default()).await.map(drop),
            app.engine.history(&run_id).await.map(drop).map_err(ClientError::from),
        ];
        for (number, answer) in answers.into_iter().enumerate() {
            let error = answer.expect_err(&format!("call {number} was answered"));
            assert!(matches!(error, ClientError::Refused { status: 503, .. }), "{error}");
            assert!(error.to_string().contains("shut down"), "{error}");
        }
    }
}
