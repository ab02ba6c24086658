//! Limits that are set by hand.

use std::time::Duration;

use workflow::{FlowControl, client::FlowControlChange};
use workflow_tests::{
    START, TestApp,
    script::{hold, run},
};

use super::{start, start_many, waiting};

#[tokio::test]
async fn a_pause_survives_a_restart_and_holds_when_it_is_answered() {
    let mut app = TestApp::on_file();
    let limits = FlowControl::key("k").parallelism(5);
    app.client.flow_control().pause("k").await.unwrap();
    let paused = start(&app, &limits, [run("p")]).await;
    assert!(waiting(&app.engine, 1).await.is_paused);
    app.crash().await;
    let info = waiting(&app.engine, 1).await;
    assert!(info.is_paused);
    assert_eq!((info.parallelism_max, info.parallelism_count), (5, 0));
    assert_eq!(app.probe.count("p"), 0);
    app.client.flow_control().resume("k").await.unwrap();
    app.ended(&paused).await;
    app.crash().await;
    assert!(!app.engine.flow_control("k").is_paused);
}

#[tokio::test]
async fn what_is_under_way_when_a_key_is_paused_goes_on() {
    let app = TestApp::in_memory();
    let limits = FlowControl::key("k").parallelism(1);
    let first = start(&app, &limits, [hold("p"), run("q")]).await;
    app.probe.reached("p", 1).await;
    app.client.flow_control().pause("k").await.unwrap();
    let second = start(&app, &limits, [run("r")]).await;
    waiting(&app.engine, 1).await;
    app.probe.open("p");
    app.ended(&first).await;
    assert_eq!(waiting(&app.engine, 1).await.wait_list_size, 1);
    app.client.flow_control().resume("k").await.unwrap();
    app.ended(&second).await;
}

#[tokio::test]
async fn pinned_limits_come_first_and_survive_a_restart() {
    let mut app = TestApp::on_file();
    let control = app.client.flow_control();
    control.pin_parallelism("k", 2).await.unwrap();
    control.pin_rate("k", 7, Duration::from_secs(60)).await.unwrap();
    app.crash().await;
    let control = app.client.flow_control();
    let info = control.get("k").await.unwrap();
    assert!(info.is_pinned_parallelism && info.is_pinned_rate && !info.is_paused);
    assert_eq!((info.parallelism_max, info.rate_max, info.rate_period), (2, 7, 60));
    assert_eq!(control.list().await.unwrap(), [info]);

    let limits = FlowControl::key("k").parallelism(4).rate(1).period(Duration::from_secs(3600));
    let runs = start_many(&app, &limits, 4, hold("p")).await;
    app.probe.reached("p", 2).await;
    assert_eq!(waiting(&app.engine, 2).await.parallelism_count, 2);
    // Without the pinned parallelism the other two may begin; the pinned rate allows them.
    control.change("k", FlowControlChange::Unpin { parallelism: true, rate: false }).await.unwrap();
    app.probe.reached("p", 4).await;
    let info = control.get("k").await.unwrap();
    assert_eq!((info.parallelism_max, info.is_pinned_parallelism, info.rate_max), (4, false, 7));
    app.probe.open("p");
    for run in &runs {
        app.ended(run).await;
    }
    control.unpin("k").await.unwrap();
    assert_eq!(control.get("k").await.unwrap().rate_max, 1);
    app.crash().await;
    assert!(app.client.flow_control().list().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_reset_begins_a_new_period() {
    let app = TestApp::in_memory();
    let limits = FlowControl::key("k").rate(1).period(Duration::from_secs(60));
    let runs = start_many(&app, &limits, 2, run("p")).await;
    waiting(&app.engine, 1).await;
    app.advance(Duration::from_secs(10));
    app.client.flow_control().reset_rate("k").await.unwrap();
    app.ended(&runs[1]).await;
    let info = app.engine.flow_control("k");
    assert_eq!((info.rate_count, info.rate_period_start), (1, START / 1000 + 10));
}

#[tokio::test]
async fn a_shorter_pinned_period_is_not_waited_for_longer() {
    let app = TestApp::in_memory();
    let limits = FlowControl::key("k").rate(1).period(Duration::from_secs(3600));
    let runs = start_many(&app, &limits, 2, run("p")).await;
    waiting(&app.engine, 1).await;
    app.client.flow_control().pin_rate("k", 1, Duration::from_secs(60)).await.unwrap();
    app.advance(Duration::from_secs(60));
    app.ended(&runs[1]).await;
}

#[tokio::test]
async fn changes_that_make_no_sense_are_refused() {
    let app = TestApp::in_memory();
    let pin = |parallelism, rate, period: Option<u64>| FlowControlChange::Pin {
        parallelism,
        rate,
        period: period.map(Duration::from_secs),
    };
    for (key, change) in [
        ("a/b", FlowControlChange::Pause),
        ("", FlowControlChange::ResetRate),
        ("k", pin(None, None, None)),
        ("k", pin(Some(0), None, None)),
        ("k", pin(None, Some(0), None)),
        ("k", pin(Some(1), None, Some(60))),
        ("k", pin(None, Some(1), Some(8 * 24 * 3600))),
    ] {
        let error = app.engine.change_flow_control(key, change).await.unwrap_err();
        assert_eq!(error.status(), 400, "{key} {change:?}");
    }
    assert!(app.engine.flow_controls().is_empty());
}
