//! The process that the crash test kills.
//!
//! It runs workflows on the engine's file and says on its standard output, a line at a time, what was acknowledged and what was
//! executed. A line that was written outlives the process, so the test knows more than the process that died.
//!
//! `crash-child FILE load FIRST` starts pairs of runs from number FIRST on, until it is killed;
//! `crash-child FILE settle COUNT` does what is left of COUNT pairs, waits until all have ended, and prints their results.
//!
//! `crash-child FILE fail FIRST` starts runs that fail from number FIRST on, and resumes them, until it is killed;
//! `crash-child FILE told COUNT` waits until COUNT of them have failed and their failures were told.

use std::{
    io::Write,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Router, extract::State, routing::post};
use serde::{Deserialize, Serialize};
use workflow::{
    Client, ClientError, FailedRun, InvokeResult, WaitResult, WorkflowContext,
    client::{CallbackState, DlqQuery, LogQuery, RunLog, RunState},
    workflow,
};
use workflow_axum::{attach, serve};
use workflow_engine::Engine;

type Outcome<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const LONG: Duration = Duration::from_secs(7 * 86_400);

/// Numbers the executions of step bodies across all processes: the process id and a count.
#[derive(Clone)]
struct Executions(Arc<AtomicU64>);

impl Executions {
    /// Says that a step body runs, and gives the execution a number of its own.
    fn executed(&self, run: &str, step: &str, before: &[String]) -> String {
        let count = self.0.fetch_add(1, Ordering::Relaxed);
        let execution = format!("{}-{count}", std::process::id());
        say(&format!("step {run} {step} {execution} {}", before.join(",")));
        execution
    }
}

/// One step, for its leader.
#[workflow]
async fn helper(ctx: WorkflowContext<()>, State(executions): State<Executions>) -> workflow::Result<String> {
    ctx.run("help", async || Ok(executions.executed(ctx.workflow_run_id(), "1", &[]))).await
}

/// Five steps, two of them in parallel, a wait for an external notification, a child, and a notification of its partner.
#[workflow]
async fn leader(
    ctx: WorkflowContext<u64>,
    State(executions): State<Executions>,
) -> workflow::Result<Vec<String>> {
    let run = ctx.workflow_run_id();
    let number = *ctx.request_payload();
    let mut seen: Vec<String> = Vec::new();
    seen.push(ctx.run("one", async || Ok(executions.executed(run, "1", &seen))).await?);
    seen.push(ctx.run("two", async || Ok(executions.executed(run, "2", &seen))).await?);
    let (left, right) = tokio::try_join!(
        ctx.run("left", async || Ok(executions.executed(run, "3", &seen))),
        ctx.run("right", async || Ok(executions.executed(run, "3", &seen))),
    )?;
    seen.extend([left, right]);
    let WaitResult::Received(go) = ctx.wait_for_event::<u64>("wait", "go", LONG).await? else {
        return Err(workflow::Error::non_retryable("the external notification was lost"));
    };
    ctx.sleep("pause", Duration::from_millis(5)).await?;
    ctx.notify("tell", format!("leader-{number}"), &go).run_id(format!("partner-{number}")).await?;
    let InvokeResult::Completed(help) =
        ctx.invoke::<helper>("help", &()).run_id(format!("helper-{number}")).await?
    else {
        return Err(workflow::Error::non_retryable("the helper has not completed"));
    };
    seen.push(help);
    seen.push(ctx.run("last", async || Ok(executions.executed(run, "4", &seen))).await?);
    Ok(seen)
}

/// Hears of its leader once, and not a second time.
#[workflow]
async fn partner(ctx: WorkflowContext<u64>) -> workflow::Result<Heard> {
    let number = *ctx.request_payload();
    let event = format!("leader-{number}");
    let first = ctx.wait_for_event::<u64>("first", &event, LONG).await?;
    let second = ctx.wait_for_event::<u64>("second", &event, Duration::from_millis(50)).await?;
    Ok(Heard {
        first: matches!(first, WaitResult::Received(heard) if heard == number),
        second: matches!(second, WaitResult::Received(_)),
    })
}

#[derive(Serialize, Deserialize)]
struct Heard {
    first: bool,
    second: bool,
}

/// Fails after a step. Its failure function says so.
#[workflow(on_failure = say_failure)]
async fn doomed(ctx: WorkflowContext<u64>, State(executions): State<Executions>) -> workflow::Result<()> {
    ctx.run("one", async || Ok(executions.executed(ctx.workflow_run_id(), "1", &[]))).await?;
    Err(workflow::Error::non_retryable(format!("number {} is doomed", ctx.request_payload())))
}

async fn say_failure(failed: FailedRun<u64>, _: State<Executions>) -> workflow::Result<()> {
    say(&format!("told {} {}", failed.workflow_run_id(), failed.dlq_id()));
    Ok(())
}

/// Writes a line in one call, so that it is there as a whole or not at all.
fn say(line: &str) {
    let line = format!("{line}\n");
    // The test that reads it may be gone; then nobody cares.
    let _ = std::io::stdout().lock().write_all(line.as_bytes());
}

#[tokio::main]
async fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, path, task, number] = arguments.as_slice() else {
        return Err("usage: FILE load|settle|fail|told NUMBER".into());
    };
    let engine = Engine::open(Path::new(path))?;
    let app = Router::new()
        .route("/leader", post(serve::<leader>()))
        .route("/helper", post(serve::<helper>()))
        .route("/partner", post(serve::<partner>()))
        .route("/doomed", post(serve::<doomed>()))
        .with_state(Executions(Arc::default()));
    let _app = attach(app, &engine.handle());
    let client = engine.client();
    match task.as_str() {
        "load" => load(client, number.parse()?).await,
        "settle" => settle(client, number.parse()?).await,
        "fail" => fail(client, number.parse()?).await,
        "told" => told(client, number.parse()?).await,
        other => Err(format!("unknown task {other}").into()),
    }
}

async fn load(client: Client, first: u64) -> Outcome {
    const WORKERS: u64 = 8;
    let mut workers = Vec::new();
    for worker in 0..WORKERS {
        let client = client.clone();
        workers.push(tokio::spawn(async move {
            let mut number = first + worker;
            loop {
                say(&format!("begin {number}"));
                start(&client, number).await?;
                notify(&client, number).await?;
                number += WORKERS;
            }
        }));
    }
    for worker in workers {
        let never: Result<Outcome<()>, _> = worker.await;
        never??;
    }
    Ok(())
}

async fn start(client: &Client, number: u64) -> Outcome {
    client.trigger_url("/partner", &number).run_id(format!("partner-{number}")).await?;
    say(&format!("triggered partner-{number}"));
    client.trigger_url("/leader", &number).run_id(format!("leader-{number}")).await?;
    say(&format!("triggered leader-{number}"));
    Ok(())
}

async fn notify(client: &Client, number: u64) -> Outcome {
    let run = format!("wfr_leader-{number}");
    client.notify("go", &number).run_id(run).deduplication_id(format!("go-{number}")).await?;
    say(&format!("notified {number}"));
    Ok(())
}

async fn settle(client: Client, count: u64) -> Outcome {
    for number in 0..count {
        for name in ["partner", "leader"] {
            let id = format!("{name}-{number}");
            // Where the process died before the answer, nobody knows: start it unless it is there.
            if state(&client, &id).await?.is_none() {
                say(&format!("absent {id}"));
                client.trigger_url(format!("/{name}"), &number).run_id(id).await?;
            }
        }
        match notify(&client, number).await {
            Ok(()) => {}
            Err(error) => match error.downcast_ref::<ClientError>() {
                // It has ended already.
                Some(ClientError::Refused { status: 404, .. }) => {}
                _ => return Err(error),
            },
        }
    }
    for number in 0..count {
        for name in ["partner", "leader"] {
            let id = format!("{name}-{number}");
            loop {
                match state(&client, &id).await? {
                    Some((RunState::RunStarted, _)) => tokio::time::sleep(Duration::from_millis(2)).await,
                    Some((ended, output)) => {
                        say(&format!("ended {id} {ended:?} {}", output.unwrap_or_default()));
                        break;
                    }
                    None => return Err(format!("{id} is gone").into()),
                }
            }
        }
    }
    say("settled");
    Ok(())
}

async fn state(client: &Client, id: &str) -> Outcome<Option<(RunState, Option<String>)>> {
    Ok(client.run(id).await?.map(|run| (run.workflow_state, run.workflow_run_response)))
}

/// Starts runs that fail, and resumes the one that failed last whenever there is one.
async fn fail(client: Client, first: u64) -> Outcome {
    for number in first.. {
        say(&format!("begin {number}"));
        client.trigger_url("/doomed", &number).run_id(format!("doomed-{number}")).await?;
        say(&format!("triggered doomed-{number}"));
        let last = client.dlq().list(DlqQuery { count: Some(1), ..DlqQuery::default() }).await?;
        for message in last.messages {
            let (id, run) = (message.dlq_id, message.workflow_run_id);
            if let Some(new) = client.dlq().resume(id).await?.workflow_runs.first() {
                say(&format!("resumed {run} {}", new.workflow_run_id));
            }
        }
    }
    Ok(())
}

/// Waits until nothing is active any more and every failure was told, and prints the failed runs.
async fn told(client: Client, count: u64) -> Outcome {
    for number in 0..count {
        let id = format!("doomed-{number}");
        if state(&client, &id).await?.is_none() {
            say(&format!("absent {id}"));
            client.trigger_url("/doomed", &number).run_id(id).await?;
        }
    }
    let mut cursor = None;
    loop {
        let page = client.logs(LogQuery { cursor: cursor.clone(), ..LogQuery::default() }).await?;
        let is_told = |run: &RunLog| {
            run.failure_function.as_ref().is_some_and(|told| told.state == CallbackState::Success)
        };
        if !page.runs.iter().all(is_told) {
            tokio::time::sleep(Duration::from_millis(2)).await;
            continue;
        }
        for run in &page.runs {
            say(&format!("failed {}", run.workflow_run_id));
        }
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    say("settled");
    Ok(())
}
