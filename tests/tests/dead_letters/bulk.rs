//! Many failed runs at once.

use std::collections::HashSet;

use futures_util::TryStreamExt;
use workflow::{
    ClientError,
    client::{DlqFilter, DlqQuery, LogQuery},
};
use workflow_tests::TestApp;

use crate::guarded::{Plan, fail, queued, routes, start};

const MANY: usize = 230;

/// An app with so many failed runs, every second of which has a label.
async fn app_with_failures() -> TestApp {
    let app = TestApp::in_memory_with(routes);
    let plan = Plan { failures: MANY, for_good: true, ..Plan::default() };
    let triggers = (0..MANY).map(|number| {
        let trigger = app.client.trigger_url("/guarded", &plan);
        if number % 2 == 0 { trigger.label("even") } else { trigger }
    });
    app.client.trigger_many(triggers).await.unwrap();
    app.probe.reached("function begins", MANY).await;
    app
}

async fn all(app: &TestApp, filter: DlqFilter) -> Vec<String> {
    let messages = app.client.dlq().messages(filter);
    messages.map_ok(|message| message.dlq_id).try_collect().await.unwrap()
}

fn even() -> DlqFilter {
    DlqFilter { labels: vec!["even".to_owned()], ..DlqFilter::default() }
}

#[tokio::test]
async fn pages_follow_each_other_and_none_is_missed() {
    let app = app_with_failures().await;
    let ids = all(&app, DlqFilter::default()).await;
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), MANY);
    assert_eq!(all(&app, even()).await.len(), MANY / 2);

    let dlq = app.client.dlq();
    let page = dlq.list(DlqQuery { count: Some(1000), ..DlqQuery::default() }).await.unwrap();
    assert_eq!(page.messages.len(), 100);
    let next = DlqQuery { cursor: page.cursor, count: Some(30), ..DlqQuery::default() };
    let next = dlq.list(next).await.unwrap();
    let next: Vec<_> = next.messages.into_iter().map(|message| message.dlq_id).collect();
    assert_eq!(next, ids[100..130]);
    let bad = dlq.list(DlqQuery { cursor: Some("x".to_owned()), ..DlqQuery::default() }).await.unwrap_err();
    assert!(matches!(bad, ClientError::Refused { status: 400, .. }), "{bad}");
}

#[tokio::test]
async fn all_of_a_filter_are_resumed_page_by_page() {
    let app = app_with_failures().await;
    let dlq = app.client.dlq();
    let mut query = DlqQuery { filter: even(), ..DlqQuery::default() };
    let mut runs = HashSet::new();
    loop {
        let revived = dlq.resume(query.clone()).await.unwrap();
        runs.extend(revived.workflow_runs.into_iter().map(|run| run.workflow_run_id));
        match revived.cursor {
            Some(cursor) => query.cursor = Some(cursor),
            None => break,
        }
    }
    assert_eq!(runs.len(), MANY / 2);
    for run in &runs {
        app.ended(run).await;
    }
    assert_eq!(app.probe.count("first"), MANY, "no recorded step ran again");
    assert_eq!(all(&app, DlqFilter::default()).await.len(), MANY / 2);
}

#[tokio::test]
async fn deleting_takes_no_more_than_its_count_and_says_where_to_go_on() {
    let app = app_with_failures().await;
    let dlq = app.client.dlq();
    let some = dlq.delete_all().count(10).await.unwrap();
    assert_eq!(some.deleted, 10);
    assert!(some.cursor.is_some());
    let even_ones = all(&app, even()).await.len();
    assert!(even_ones > 100, "{even_ones}");
    let page = dlq.delete(even()).await.unwrap();
    let rest = DlqQuery { filter: even(), cursor: page.cursor, count: None };
    let rest = dlq.delete(rest).await.unwrap();
    assert_eq!((page.deleted + rest.deleted, rest.cursor), (even_ones as u64, None));
    assert_eq!(all(&app, DlqFilter::default()).await.len(), MANY - 10 - even_ones);
    let logs = app.client.logs(LogQuery::default()).await.unwrap();
    assert!(!logs.runs.is_empty(), "the runs are still listed");
}

#[tokio::test]
async fn ids_that_are_not_there_are_passed_over_and_a_filter_that_selects_by_nothing_is_refused() {
    let app = TestApp::in_memory_with(routes);
    let plan = Plan { failures: 9, ..Plan::default() };
    let message = fail(&app, &plan).await;
    let dlq = app.client.dlq();
    let ids = vec!["nonsense".to_owned(), "1-1".to_owned(), message.dlq_id.clone(), message.dlq_id.clone()];
    assert_eq!(dlq.restart(ids.clone()).await.unwrap().workflow_runs.len(), 1);
    assert_eq!(dlq.delete(ids).await.unwrap().deleted, 0);
    assert_eq!(dlq.resume(Vec::new()).await.unwrap().workflow_runs, []);
    for refused in [
        dlq.resume(DlqFilter::default()).await.unwrap_err(),
        dlq.restart(DlqFilter::default()).await.unwrap_err(),
        dlq.delete(DlqFilter::default()).await.unwrap_err(),
        dlq.delete("").await.unwrap_err(),
    ] {
        assert!(matches!(refused, ClientError::Refused { status: 400, .. }), "{refused}");
    }
}

/// Histories of more than one transaction should hold: all are resumed all the same.
#[tokio::test]
async fn large_runs_are_resumed_in_several_transactions() {
    let app = TestApp::on_file_with(routes);
    let plan = Plan { failures: 7, ballast: "x".repeat(1_000_000), ..Plan::default() };
    for _ in 0..7 {
        start(&app, &plan).await;
    }
    queued(&app, 7).await;
    app.probe.reached("function begins", 7).await;
    let revived = app.client.dlq().resume_all().await.unwrap();
    assert_eq!(revived.workflow_runs.len(), 7);
    for run in revived.workflow_runs {
        app.ended(&run.workflow_run_id).await.response::<Vec<usize>>().unwrap().unwrap();
    }
    assert_eq!(app.probe.count("first"), 7);
}
