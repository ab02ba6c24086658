//! Runs that invoke others: however the child ends, and whatever happens meanwhile, its parents are told once.

use std::time::Duration;

use axum::{Router, extract::State, routing::post};
use serde::{Deserialize, Serialize};
use workflow::{
    InvokeResult, WorkflowContext,
    client::{LogQuery, RunFilter, RunState},
    protocol::StepType,
    workflow,
};
use workflow_tests::{Probe, TestApp, eventually};

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Fate {
    Return(String),
    ReturnNothing,
    Fail,
    Cancel,
    /// Waits for this event, and returns its data.
    Wait(String),
}

#[workflow]
async fn child(ctx: WorkflowContext<Fate>, State(probe): State<Probe>) -> workflow::Result<Option<String>> {
    ctx.run("begin", async || Ok(probe.pass("child"))).await?;
    match ctx.request_payload() {
        Fate::Return(text) => Ok(Some(text.clone())),
        Fate::ReturnNothing => Ok(None),
        Fate::Fail => Err(workflow::Error::non_retryable("as it was told")),
        Fate::Cancel => ctx.cancel().await,
        Fate::Wait(event) => {
            let long = Duration::from_secs(1_000_000);
            Ok(ctx.wait_for_event::<String>("wait", event, long).await?.received())
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum End {
    Completed(Option<String>),
    Failed,
    Canceled,
}

fn end(result: InvokeResult<Option<String>>) -> End {
    match result {
        InvokeResult::Completed(output) => End::Completed(output),
        InvokeResult::Failed => End::Failed,
        InvokeResult::Canceled => End::Canceled,
    }
}

/// Invokes all at once; a child may have an id.
#[workflow]
async fn parent(
    ctx: WorkflowContext<Vec<(Fate, Option<String>)>>,
    State(probe): State<Probe>,
) -> workflow::Result<Vec<End>> {
    let invoked = ctx.request_payload().iter().enumerate().map(async |(index, (fate, id))| {
        let mut step = ctx.invoke::<child>(format!("child {index}"), fate);
        if let Some(id) = id {
            step = step.run_id(id);
        }
        workflow::Result::Ok(end(step.await?))
    });
    let ends = futures_util::future::try_join_all(invoked).await?;
    ctx.run("after", async || Ok(probe.pass("after"))).await?;
    Ok(ends)
}

/// Invokes itself until it cannot, and says how deep that was.
#[workflow]
async fn nested(ctx: WorkflowContext<u32>, State(probe): State<Probe>) -> workflow::Result<u32> {
    probe.pass("nested");
    let depth = *ctx.request_payload();
    let step = ctx.invoke::<nested>("deeper", &(depth + 1));
    match step.await? {
        InvokeResult::Completed(deepest) => Ok(deepest),
        InvokeResult::Failed | InvokeResult::Canceled => Ok(depth + 1),
    }
}

/// Invokes the run of this id, whichever it is.
#[workflow]
async fn invoke_run(ctx: WorkflowContext<String>) -> workflow::Result<String> {
    match ctx.invoke::<invoke_run>("invoke", &String::new()).run_id(ctx.request_payload()).await? {
        InvokeResult::Completed(output) => Ok(output),
        InvokeResult::Failed | InvokeResult::Canceled => Ok("not completed".to_owned()),
    }
}

fn routes(router: Router<Probe>) -> Router<Probe> {
    router
        .route("/parent", post(workflow_axum::serve::<parent>()))
        .route("/child", post(workflow_axum::serve::<child>()))
        .route("/nested", post(workflow_axum::serve::<nested>()))
        .route("/invoke-run", post(workflow_axum::serve::<invoke_run>()))
}

async fn start(app: &TestApp, children: &[(Fate, Option<&str>)]) -> String {
    app.client.trigger_url("/parent", children).await.unwrap().workflow_run_id
}

async fn exists(app: &TestApp, run: &str) {
    eventually(format!("there is a run `{run}`"), async || app.client.run(run).await.unwrap()).await;
}

/// 2b K.52
#[tokio::test]
async fn a_parent_is_told_how_its_child_has_ended() {
    let app = TestApp::in_memory_with(routes);
    let ends = [
        (Fate::Return("done".to_owned()), End::Completed(Some("done".to_owned()))),
        (Fate::ReturnNothing, End::Completed(None)),
        (Fate::Fail, End::Failed),
        (Fate::Cancel, End::Canceled),
    ];
    for (fate, end) in &ends {
        let run = start(&app, &[(fate.clone(), None)]).await;
        assert_eq!(app.output::<Vec<End>>(&run).await, [end.clone()]);
    }
    let (all, expected): (Vec<_>, Vec<_>) = ends.into_iter().map(|(fate, end)| ((fate, None), end)).unzip();
    let run = start(&app, &all).await;
    assert_eq!(app.output::<Vec<End>>(&run).await, expected);
}

#[tokio::test]
async fn parent_and_child_are_listed_with_each_other() {
    let app = TestApp::in_memory_with(routes);
    let run = start(&app, &[(Fate::Wait("e".to_owned()), Some("c"))]).await;
    app.waiting("e", 1).await;
    for is_over in [false, true] {
        let parent = app.log(&run).await;
        let steps = parent.steps.iter().flat_map(|group| &group.steps);
        let step = steps.into_iter().find(|step| step.step_type == Some(StepType::Invoke)).unwrap();
        let child = app.log("wfr_c").await;
        assert_eq!(step.invoked_workflow_run_id.as_deref(), Some("wfr_c"));
        assert_eq!(step.invoked_workflow_url.as_deref(), Some("/child"));
        assert_eq!(step.invoked_workflow_created_at, Some(child.workflow_run_created_at));
        assert_eq!(child.invoker.unwrap().workflow_run_id, run);
        assert_eq!(step.out.is_some(), is_over);
        if !is_over {
            app.tell("e", "go").await;
            app.ended(&run).await;
        }
    }
}

/// 2b K.51, H: children that end while their parent still begins others.
#[tokio::test]
async fn children_may_end_before_their_parent_has_parked() {
    let app = TestApp::in_memory_with(routes);
    let children: Vec<_> = (0..300).map(|n| (Fate::Return(n.to_string()), None)).collect();
    let run = start(&app, &children).await;
    let expected: Vec<_> = (0..300).map(|n| End::Completed(Some(n.to_string()))).collect();
    assert_eq!(app.output::<Vec<End>>(&run).await, expected);
    assert_eq!((app.probe.count("child"), app.probe.count("after")), (300, 1));
}

/// 2b K.54
#[tokio::test]
async fn an_active_run_gets_one_more_parent_and_tells_all_of_them() {
    let app = TestApp::in_memory_with(routes);
    app.client.trigger_url("/child", &Fate::Wait("e".to_owned())).run_id("c").await.unwrap();
    app.waiting("e", 1).await;
    let mut parents = Vec::new();
    for _ in 0..3 {
        parents.push(start(&app, &[(Fate::Fail, Some("c")), (Fate::Fail, Some("c"))]).await);
    }
    for parent in &parents {
        eventually("both wait", async || {
            let log = app.log(parent).await;
            let steps = log.steps.iter().flat_map(|group| &group.steps);
            let waiting = steps.filter(|step| step.invoked_workflow_run_id.is_some()).count();
            (waiting == 2).then_some(())
        })
        .await;
    }
    app.tell("e", "one for all").await;
    let expected = End::Completed(Some("one for all".to_owned()));
    for parent in &parents {
        assert_eq!(app.output::<Vec<End>>(parent).await, [expected.clone(), expected.clone()]);
    }
    assert_eq!(app.probe.count("child"), 1);
    assert!(app.log("wfr_c").await.invoker.is_none(), "nobody has started it but the client");
}

#[tokio::test]
async fn the_id_of_a_run_that_has_ended_starts_a_new_one() {
    let app = TestApp::in_memory_with(routes);
    for round in ["one", "two"] {
        let run = start(&app, &[(Fate::Return(round.to_owned()), Some("c"))]).await;
        assert_eq!(app.output::<Vec<End>>(&run).await, [End::Completed(Some(round.to_owned()))]);
    }
}

#[tokio::test]
async fn runs_that_would_wait_for_each_other_are_refused() {
    let app = TestApp::in_memory_with(routes);
    let invoke = async |id: &str, other: &str| {
        app.client.trigger_url("/invoke-run", other).run_id(id).await.unwrap();
    };
    invoke("self", "self").await;
    assert_eq!(app.ended("wfr_self").await.workflow_state, RunState::RunFailed);
    let errors = app.errors("wfr_self").await;
    assert!(errors[0].error.contains("both would wait for ever"), "{errors:?}");

    app.client.trigger_url("/child", &Fate::Wait("gate".to_owned())).run_id("last").await.unwrap();
    app.waiting("gate", 1).await;
    invoke("b", "last").await;
    eventually("b waits", async || {
        let log = app.log("wfr_b").await;
        log.steps.iter().flat_map(|group| &group.steps).find_map(|step| step.invoked_workflow_run_id.clone())
    })
    .await;
    invoke("a", "b").await;
    eventually("a waits", async || {
        let log = app.log("wfr_a").await;
        log.steps.iter().flat_map(|group| &group.steps).find_map(|step| step.invoked_workflow_run_id.clone())
    })
    .await;
    app.tell("gate", "go").await;
    for run in ["wfr_a", "wfr_b"] {
        assert_eq!(app.output::<String>(run).await, "go");
    }
}

#[tokio::test]
async fn invocations_end_at_a_depth_of_a_hundred() {
    let app = TestApp::in_memory_with(routes);
    let run = app.client.trigger_url("/nested", &0).await.unwrap().workflow_run_id;
    // The run at depth 100 cannot invoke another one, and fails.
    assert_eq!(app.output::<u32>(&run).await, 100);
    let failed = RunFilter { states: vec![RunState::RunFailed], ..RunFilter::default() };
    let page = app.client.logs(LogQuery { filter: failed, ..LogQuery::default() }).await.unwrap();
    assert_eq!(page.runs.len(), 1);
    let errors = app.errors(&page.runs[0].workflow_run_id).await;
    assert!(errors.len() == 1 && errors[0].error.contains("nested 100 deep"), "{errors:?}");
}

/// 2b F.30, section I.11 of the protocol: children of a run that has ended go on, and tell nobody.
#[tokio::test]
async fn the_end_of_a_parent_leaves_its_children_alone() {
    let app = TestApp::in_memory_with(routes);
    let run = start(&app, &[(Fate::Wait("e".to_owned()), Some("c"))]).await;
    app.waiting("e", 1).await;
    assert!(app.client.cancel_run(&run).await.unwrap());
    app.tell("e", "go").await;
    assert_eq!(app.output::<Option<String>>("wfr_c").await.as_deref(), Some("go"));
    assert_eq!(app.log(&run).await.workflow_state, RunState::RunCanceled);
    assert_eq!(app.probe.count("after"), 0);
}

#[tokio::test]
async fn parent_and_child_may_be_cancelled_in_one_go() {
    let app = TestApp::in_memory_with(routes);
    let run = start(&app, &[(Fate::Wait("e".to_owned()), Some("c"))]).await;
    app.waiting("e", 1).await;
    assert_eq!(app.client.cancel_all().await.unwrap(), 2);
    for run in [run.as_str(), "wfr_c"] {
        assert_eq!(app.log(run).await.workflow_state, RunState::RunCanceled);
    }
    assert_eq!((app.waiters("e").await.len(), app.probe.count("after")), (0, 0));
}

#[tokio::test]
async fn a_child_that_is_cancelled_from_outside_wakes_its_parent() {
    let app = TestApp::in_memory_with(routes);
    let run = start(&app, &[(Fate::Wait("e".to_owned()), Some("c"))]).await;
    exists(&app, "wfr_c").await;
    assert!(app.client.cancel_run("wfr_c").await.unwrap());
    assert_eq!(app.output::<Vec<End>>(&run).await, [End::Canceled]);
}

/// 2b G.34: at every point from the invocation to the end of the parent.
#[tokio::test]
async fn a_crash_neither_loses_nor_repeats_a_child() {
    let mut app = TestApp::on_file_with(routes);
    let group = [(Fate::Wait("e".to_owned()), Some("c")), (Fate::Return("at once".to_owned()), None)];
    let run = start(&app, &group).await;
    app.waiting("e", 1).await;
    app.crash().await;
    app.recorded(&run, 1).await;
    app.crash_unattached().await;
    assert_eq!(app.tell("e", "late").await.len(), 1);
    app.crash().await;
    let expected = [Some("late"), Some("at once")].map(|text| End::Completed(text.map(str::to_owned)));
    assert_eq!(app.output::<Vec<End>>(&run).await, expected);
    assert_eq!((app.probe.count("child"), app.probe.count("after")), (2, 1));
}
