//! For the tests of an app: whether the code of a workflow still fits the runs that it has begun.
//!
//! A run remembers the results of its steps, not the code that has asked for them. [`replay`] calls a workflow function with
//! such a history, gives it the recorded results, and says how far it comes: to its end, to the end of the history, or to a
//! [`Divergence`]. No step is executed and no engine is needed, so it is a plain test. With the histories of a few real runs
//! beside the code, a change that would strand runs fails in CI instead of in production.
//!
//! ```
//! use serde_json::json;
//! use workflow::{WorkflowContext, testing::{History, Replayed, replay}, workflow};
//!
//! #[workflow]
//! async fn greet(ctx: WorkflowContext<String>) -> workflow::Result<String> {
//!     let name = ctx.request_payload();
//!     let greeting = ctx.run("greet", async || Ok(format!("hello {name}"))).await?;
//!     ctx.run("send", async || Ok(greeting.len())).await?;
//!     Ok(greeting)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // `"world"`, and `{"stepId":1,"stepName":"greet","stepType":"Run","out":"\"hello world\"","concurrent":1}`
//! let history = History::from_json(
//!     r#"[{"messageId": "msg_1", "callType": "step", "body": "IndvcmxkIg=="},
//!         {"messageId": "msg_2", "callType": "step", "body": "eyJzdGVwSWQiOjEsInN0ZXBOYW1lIjoiZ3JlZXQiLCJzdGVwVHlwZSI6IlJ1biIsIm91dCI6IlwiaGVsbG8gd29ybGRcIiIsImNvbmN1cnJlbnQiOjF9"}]"#,
//! )?;
//! let Replayed::EndOfHistory { next } = replay::<greet>(&history, ()).await? else { panic!() };
//! assert_eq!(next[0].name, "send");
//! # Ok(()) }
//! ```

mod history;

use std::{
    pin::{Pin, pin},
    sync::Arc,
};

use serde_json::Value;

pub use self::history::History;
use crate::{
    Workflow,
    context::{Invocation, exchange::Exchange},
    driver::{Driver, Happening, Program, program},
    engine::{Mode, Report},
    replay::{Action, Attempts, Replay},
};
pub use crate::{
    protocol::HistoryError,
    replay::{Divergence, DivergenceKind, ProducedStep, RecordedStep},
};

/// How far the code of a workflow has come with a history that fits it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Replayed {
    /// The function has returned this.
    Completed {
        /// What it has returned, as JSON.
        output: Value,
    },
    /// The function has failed after the last recorded step: it has returned an error, panicked, or broken a rule. Runs that
    /// have failed end like this, and so may ones of which one attempt has failed.
    Failed {
        /// The error with its causes.
        message: String,
    },
    /// The function cancels its run after the last recorded step.
    Canceled,
    /// The function asks for what is not recorded yet.
    EndOfHistory {
        /// The step that would run next or, of steps that run side by side, those that are not recorded.
        next: Vec<ProducedStep>,
    },
}

/// Calls the function of `W` with a recorded history and says how far it comes. No step is executed: the results are the
/// recorded ones, and a sleep that is recorded counts as over.
///
/// `args` are the function's parameters after the context, as a tuple: `(State(shop),)`. The code between steps runs as
/// always.
///
/// # Errors
///
/// If the code asks for something else than is recorded.
pub async fn replay<W: Workflow>(history: &History, args: W::Args) -> Result<Replayed, Box<Divergence>> {
    let exchange = Arc::new(Exchange::default());
    let invocation = Invocation {
        payload: history.payload.clone(),
        run: history.run.clone(),
        headers: history.headers.clone(),
        exchange: Arc::clone(&exchange),
        locations: Arc::default(),
        step_timeout: None,
    };
    let program = program::<W>(invocation, !history.steps.is_empty(), args);
    let replay = Replay::new(Mode::Continue, history.steps.clone(), Attempts::of_steps(&[]));
    follow(pin!(program), &exchange, replay).await
}

async fn follow<'a>(
    program: Pin<&'a mut Program<'a>>,
    exchange: &'a Exchange,
    mut replay: Replay,
) -> Result<Replayed, Box<Divergence>> {
    let end_of_time = || i64::MAX;
    let mut driver = Driver::new(program, exchange);
    exchange.next_group(replay.attempt(), replay.is_replaying());
    loop {
        let mut next = Vec::new();
        while let Some(action) = replay.next_action() {
            match action {
                Action::Release { results, attempt } => {
                    driver.release(results, attempt, replay.is_replaying())
                }
                Action::Run { member, .. } | Action::Report { member: Some(member), .. } => {
                    next.extend(replay.produced(member));
                }
                Action::Report { report, .. } => return conclude(report, &mut replay),
                Action::End(_) => return Ok(Replayed::EndOfHistory { next }),
            }
        }
        if !next.is_empty() {
            next.sort_by_key(|step| step.position);
            return Ok(Replayed::EndOfHistory { next });
        }
        match driver.next().await {
            Happening::Returned(result) => replay.returned(result),
            Happening::Polled | Happening::Answered(_) => {}
        }
        driver.feed(&mut replay, end_of_time);
    }
}

/// The last report of an invocation, as the outcome of a check.
fn conclude(report: Report, replay: &mut Replay) -> Result<Replayed, Box<Divergence>> {
    match (replay.divergence(), report) {
        (Some(divergence), _) => Err(divergence),
        (None, Report::Complete { output }) => {
            let output = output.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
            Ok(Replayed::Completed { output })
        }
        (None, Report::Cancel) => Ok(Replayed::Canceled),
        (None, Report::Failed(failure)) => Ok(Replayed::Failed { message: failure.message }),
        (None, _) => Ok(Replayed::EndOfHistory { next: Vec::new() }),
    }
}
