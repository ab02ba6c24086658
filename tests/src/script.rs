//! A workflow that does what its payload says, so that a test reads as one list of steps.

use std::time::{Duration, SystemTime};

use axum::extract::State;
use futures_util::future::try_join_all;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use workflow::{InvokeResult, WaitResult, WorkflowContext, workflow};

use crate::{Probe, Told, told};

/// The path at which [`TestApp`](crate::TestApp) mounts [`script`].
pub const PATH: &str = "/script";

/// Longer than any test moves its clock unless it wants a wait to time out.
pub const LONG: Duration = Duration::from_secs(1000 * 24 * 3600);

/// The delay between the attempts of a child.
pub const RETRY_DELAY: Duration = Duration::from_secs(7);

/// The label of runs in which no step fails.
pub const REVIVED: &str = "revived";

/// One step, or several side by side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// A step that passes this place of the probe.
    Run(String),
    /// A step that is held at this place of the probe until it is opened.
    Hold(String),
    /// A step that passes this place, and fails in its first attempts, unless the run has the label [`REVIVED`].
    Flaky(String, u32),
    /// A wait for an event.
    Wait(String, Duration),
    /// A sleep.
    Sleep(Duration),
    /// A sleep until a time since the Unix epoch.
    SleepUntil(Duration),
    /// A notification of all waiters of an event, with data.
    Notify(String, String),
    /// A notification of one run of an event, with data.
    NotifyRun(String, String, String),
    /// A notification of the run itself of an event, with data.
    NotifySelf(String, String),
    /// A child with this run id, which does the same as this workflow. It is retried once.
    Invoke(String, Vec<Op>),
    /// Steps side by side.
    Together(Vec<Op>),
}

/// What came of an [`Op`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The step has run.
    Ran,
    /// The event came, with this data.
    Received(String),
    /// The event did not come in time.
    TimedOut,
    /// The sleep is over.
    Slept,
    /// What became of the notification.
    Told(Vec<Told>),
    /// The child has returned this.
    Completed(Value),
    /// The child has failed.
    Failed,
    /// The child was cancelled.
    Canceled,
    /// The outcomes of steps side by side.
    Together(Vec<Outcome>),
}

/// See [`Op::Run`].
pub fn run(place: &str) -> Op {
    Op::Run(place.to_owned())
}

/// See [`Op::Hold`].
pub fn hold(place: &str) -> Op {
    Op::Hold(place.to_owned())
}

/// See [`Op::Flaky`].
pub fn flaky(place: &str, failures: u32) -> Op {
    Op::Flaky(place.to_owned(), failures)
}

/// A wait that does not time out while the test runs.
pub fn wait(event: &str) -> Op {
    wait_for(event, LONG)
}

/// See [`Op::Wait`].
pub fn wait_for(event: &str, timeout: Duration) -> Op {
    Op::Wait(event.to_owned(), timeout)
}

/// See [`Op::Sleep`].
pub fn sleep(duration: Duration) -> Op {
    Op::Sleep(duration)
}

/// See [`Op::Notify`].
pub fn notify(event: &str, data: &str) -> Op {
    Op::Notify(event.to_owned(), data.to_owned())
}

/// See [`Op::NotifyRun`].
pub fn notify_run(run: &str, event: &str, data: &str) -> Op {
    Op::NotifyRun(run.to_owned(), event.to_owned(), data.to_owned())
}

/// See [`Op::NotifySelf`].
pub fn notify_self(event: &str, data: &str) -> Op {
    Op::NotifySelf(event.to_owned(), data.to_owned())
}

/// See [`Op::Together`].
pub fn together(ops: impl IntoIterator<Item = Op>) -> Op {
    Op::Together(ops.into_iter().collect())
}

/// [`Outcome::Received`].
pub fn received(data: &str) -> Outcome {
    Outcome::Received(data.to_owned())
}

/// Passes the place `script` of the probe whenever it is invoked, then does one op after the other.
///
/// # Errors
/// Those of its steps.
#[workflow]
pub async fn script(
    ctx: WorkflowContext<Vec<Op>>,
    State(probe): State<Probe>,
) -> workflow::Result<Vec<Outcome>> {
    probe.pass("script");
    let mut outcomes = Vec::new();
    for (index, op) in ctx.request_payload().iter().enumerate() {
        let outcome = match op {
            Op::Together(ops) => {
                let all = ops.iter().enumerate();
                let all = all.map(|(place, op)| perform(&ctx, &probe, format!("{index}.{place}"), op));
                Outcome::Together(try_join_all(all).await?)
            }
            op => perform(&ctx, &probe, index.to_string(), op).await?,
        };
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

async fn perform(
    ctx: &WorkflowContext<Vec<Op>>,
    probe: &Probe,
    name: String,
    op: &Op,
) -> workflow::Result<Outcome> {
    match op {
        Op::Run(place) => {
            ctx.run(name, async || {
                probe.pass(place);
                Ok(())
            })
            .await?;
            Ok(Outcome::Ran)
        }
        Op::Hold(place) => {
            ctx.run(name, async || {
                probe.hold(place).await;
                Ok(())
            })
            .await?;
            Ok(Outcome::Ran)
        }
        Op::Flaky(place, failures) => {
            ctx.run(name, async || {
                probe.pass(place);
                let attempt = ctx.attempt();
                if attempt <= *failures && !ctx.labels().iter().any(|label| label == REVIVED) {
                    return Err(workflow::Error::msg(format!("attempt {attempt} of `{place}` fails")));
                }
                Ok(())
            })
            .await?;
            Ok(Outcome::Ran)
        }
        Op::Wait(event, timeout) => Ok(match ctx.wait_for_event::<String>(name, event, *timeout).await? {
            WaitResult::Received(data) => Outcome::Received(data),
            WaitResult::TimedOut => Outcome::TimedOut,
        }),
        Op::Sleep(duration) => ctx.sleep(name, *duration).await.map(|()| Outcome::Slept),
        Op::SleepUntil(time) => {
            ctx.sleep_until(name, SystemTime::UNIX_EPOCH + *time).await.map(|()| Outcome::Slept)
        }
        Op::Notify(event, data) => {
            let notify = ctx.notify(name, event, data).await?;
            Ok(Outcome::Told(notify.notify_response.iter().map(told).collect()))
        }
        Op::NotifyRun(run, event, data) => {
            let notify = ctx.notify(name, event, data).run_id(run).await?;
            Ok(Outcome::Told(notify.notify_response.iter().map(told).collect()))
        }
        Op::NotifySelf(event, data) => {
            let notify = ctx.notify(name, event, data).run_id(ctx.workflow_run_id()).await?;
            Ok(Outcome::Told(notify.notify_response.iter().map(told).collect()))
        }
        Op::Invoke(id, ops) => {
            let child = ctx.invoke_url::<Value>(name, PATH, ops).run_id(id).retries(1);
            Ok(match child.retry_delay(RETRY_DELAY.as_millis().to_string()).await? {
                InvokeResult::Completed(output) => Outcome::Completed(output),
                InvokeResult::Failed => Outcome::Failed,
                InvokeResult::Canceled => Outcome::Canceled,
            })
        }
        Op::Together(_) => Err(workflow::Error::non_retryable("groups are not nested")),
    }
}
