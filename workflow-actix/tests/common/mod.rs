//! What becomes of runs.

use std::time::Duration;

use workflow::{
    Client,
    client::{LogQuery, RunFilter, RunLog, RunState},
};

/// Triggers a run and waits until it has ended.
pub async fn run(client: &Client, path: &str, payload: &impl serde::Serialize) -> RunLog {
    let run = client.trigger_url(path, payload).await.unwrap().workflow_run_id;
    ended(client, &run).await
}

/// Waits until a run has ended; gives up after a minute, so that a test that fails also ends.
pub async fn ended(client: &Client, run: &str) -> RunLog {
    let look = async {
        let filter = RunFilter { run_ids: vec![run.to_owned()], ..RunFilter::default() };
        loop {
            let query = LogQuery { filter: filter.clone(), ..LogQuery::default() };
            let page = client.logs(query).await.unwrap();
            match page.runs.into_iter().find(|run| run.workflow_state != RunState::RunStarted) {
                Some(run) => return run,
                None => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), look).await.expect("the run ends within a minute")
}

/// Waits until a run waits for the event, and notifies it.
pub async fn tell(client: &Client, event: &str) {
    while client.get_waiters(event).await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    client.notify(event, &()).await.unwrap();
}
