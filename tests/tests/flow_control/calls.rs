//! Calls that the engine makes for workflows.

use axum::{
    Router,
    extract::State,
    routing::{get, post},
};
use workflow::{FlowControl, WorkflowContext, workflow};
use workflow_axum::serve;
use workflow_tests::{Probe, Served, TestApp};

use super::{idle, waiting};

/// Calls a third party, whose address is the payload, under limits.
#[workflow]
async fn caller(ctx: WorkflowContext<String>) -> workflow::Result<u16> {
    let limits = FlowControl::key("k").parallelism(2);
    Ok(ctx.call("third party", ctx.request_payload()).flow_control(limits).await?.status())
}

#[workflow]
async fn limitless(ctx: WorkflowContext<String>) -> workflow::Result<u16> {
    Ok(ctx.call("third party", ctx.request_payload()).flow_control(FlowControl::key("k")).await?.status())
}

fn routes(router: Router<Probe>) -> Router<Probe> {
    router.route("/caller", post(serve::<caller>())).route("/limitless", post(serve::<limitless>()))
}

/// A third party that answers when `asked` is open.
async fn third_party(probe: &Probe) -> Served {
    async fn answer(State(probe): State<Probe>) {
        probe.hold("asked").await;
    }
    Served::start(Router::new().route("/", get(answer).post(answer)).with_state(probe.clone())).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_more_calls_are_made_at_once_than_may_be() {
    let app = TestApp::in_memory_with(routes);
    let third_party = third_party(&app.probe).await;
    let url = format!("{}/", third_party.url());
    let runs =
        app.client.trigger_many((0..6).map(|_| app.client.trigger_url("/caller", &url))).await.unwrap();
    let info = waiting(&app.engine, 4).await;
    assert_eq!((info.parallelism_max, info.parallelism_count), (2, 2));
    app.probe.reached("asked", 2).await;
    assert!(app.client.cancel_run(&runs[5].workflow_run_id).await.unwrap());
    app.probe.open("asked");
    for run in &runs[..5] {
        assert_eq!(app.output::<u16>(&run.workflow_run_id).await, 200);
    }
    idle(&app.engine).await;
    assert!(app.probe.count("asked") <= 6);
}

#[tokio::test]
async fn a_call_with_limits_that_make_no_sense_fails_its_run() {
    let app = TestApp::in_memory_with(routes);
    let run = app.client.trigger_url("/limitless", "http://127.0.0.1:9/").await.unwrap();
    let log = app.ended(&run.workflow_run_id).await;
    assert!(log.failure().unwrap().contains("limits nothing"), "{log:#?}");
}
