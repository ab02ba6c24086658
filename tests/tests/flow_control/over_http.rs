//! Deliveries to endpoints elsewhere.

use std::time::Duration;

use axum::{
    Router,
    extract::{Path, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
    routing::post,
};
use workflow::{FlowControl, protocol::headers};
use workflow_engine::Engine;
use workflow_tests::{Probe, Served, TestApp};

use super::{idle, waiting};

/// Endpoints that take a delivery when their place in the probe is open.
async fn endpoints() -> (Served, Probe) {
    async fn delivery(State(probe): State<Probe>, Path(place): Path<String>, map: HeaderMap) -> Response {
        for name in [headers::FLOW_CONTROL_KEY, headers::FLOW_CONTROL_VALUE] {
            probe.pass(&format!("{name}: {}", map.get(name).map_or("none", |value| value.to_str().unwrap())));
        }
        probe.hold(&place).await;
        [(headers::WORKFLOW_SDK_VERSION, headers::PROTOCOL_VERSION)].into_response()
    }
    let probe = Probe::default();
    let router = Router::new().route("/{place}", post(delivery)).with_state(probe.clone());
    (Served::start(router).await, probe)
}

async fn trigger(engine: &Engine, url: String, limits: Option<&FlowControl>, count: usize) -> Vec<String> {
    let client = engine.client();
    let triggers = (0..count).map(|number| {
        let trigger = client.trigger_url(url.clone(), &number);
        match limits {
            Some(limits) => trigger.flow_control(limits.clone()),
            None => trigger,
        }
    });
    let started = client.trigger_many(triggers).await.unwrap();
    started.into_iter().map(|run| run.workflow_run_id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_more_requests_are_open_than_may_be() {
    let app = TestApp::unattached();
    let (served, probe) = endpoints().await;
    let limits = FlowControl::key("k").parallelism(2).rate(100).period(Duration::from_secs(60));
    trigger(&app.engine, format!("{}/p", served.url()), Some(&limits), 6).await;
    let info = waiting(&app.engine, 4).await;
    assert_eq!(info.parallelism_count, 2);
    probe.reached("p", 2).await;
    probe.open("p");
    probe.reached("p", 6).await;
    idle(&app.engine).await;
    assert_eq!(probe.count("upstash-flow-control-key: k"), 6);
    assert_eq!(probe.count("upstash-flow-control-value: parallelism=2,rate=100,period=60"), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backlog_takes_no_turn_at_its_origin_and_survives_a_crash() {
    let mut app = TestApp::unattached();
    let (served, probe) = endpoints().await;
    let limits = FlowControl::key("k").parallelism(1);
    let runs = trigger(&app.engine, format!("{}/slow", served.url()), Some(&limits), 300).await;
    waiting(&app.engine, 299).await;
    probe.open("other");
    trigger(&app.engine, format!("{}/other", served.url()), None, 1).await;
    probe.reached("other", 1).await;
    assert_eq!(probe.count("upstash-flow-control-key: none"), 1);
    probe.reached("slow", 1).await;

    app.crash_unattached().await;
    waiting(&app.engine, 299).await;
    probe.reached("slow", 2).await;
    for run in &runs[3..] {
        app.client.cancel_run(run).await.unwrap();
    }
    // Which one is under way is not known: it may be one of those that were cancelled.
    let left = app.engine.flow_control("k").wait_list_size;
    assert!((2..=3).contains(&left), "{left}");
    probe.open("slow");
    probe.reached("slow", 2 + left as usize).await;
    waiting(&app.engine, 0).await;
}

#[tokio::test]
async fn requests_begin_at_their_rate() {
    let app = TestApp::unattached();
    let (served, probe) = endpoints().await;
    probe.open("p");
    let limits = FlowControl::key("k").rate(2).period(Duration::from_secs(10));
    trigger(&app.engine, format!("{}/p", served.url()), Some(&limits), 3).await;
    assert_eq!(waiting(&app.engine, 1).await.rate_count, 2);
    probe.reached("p", 2).await;
    app.advance(Duration::from_secs(10));
    probe.reached("p", 3).await;
    assert_eq!(waiting(&app.engine, 0).await.rate_count, 1);
}
