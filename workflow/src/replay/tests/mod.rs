//! Scripts: what the program asks for and what the engine answers go in, what is to be done comes out.

mod continue_mode;
mod divergence;
mod suspend_mode;

use std::panic::Location;

use super::*;
use crate::{engine::FailedAttempts, protocol::StepType};

const NOW: i64 = 1_000_000;

struct Script {
    replay: Replay,
    now: i64,
}

impl Script {
    fn new(mode: Mode, history: Vec<Step>) -> Self {
        Self::with_attempts(mode, history, Attempts::of_steps(&[]))
    }

    fn with_attempts(mode: Mode, history: Vec<Step>, attempts: Attempts) -> Self {
        Self { replay: Replay::new(mode, history, attempts), now: NOW }
    }

    /// The program asks for these steps in one poll.
    #[track_caller]
    fn claims(&mut self, claims: impl IntoIterator<Item = Claim>) -> Vec<String> {
        let now = self.now;
        self.replay.claimed(claims.into_iter().collect(), || now);
        self.actions()
    }

    fn ran(&mut self, member: usize, result: Result<&str, Error>) -> Vec<String> {
        self.replay.ran(member, result.map(str::to_owned));
        self.actions()
    }

    fn replies(&mut self, member: impl Into<Option<usize>>, reply: Reply) -> Vec<String> {
        let now = self.now;
        self.replay.replied(member.into(), reply, || now);
        self.actions()
    }

    fn returns(&mut self, result: Result<Option<&str>, Error>) -> Vec<String> {
        self.replay.returned(result.map(|output| output.map(str::to_owned)));
        self.actions()
    }

    fn drops(&mut self, member: usize) -> Vec<String> {
        self.replay.dropped(member);
        self.actions()
    }

    fn actions(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.replay.next_action()).map(|action| short(&action)).collect()
    }
}

fn short(action: &Action) -> String {
    match action {
        Action::Run { member, attempt } => format!("run {member} attempt {attempt}"),
        Action::Report { member: Some(member), report } => format!("{member}: {}", short_report(report)),
        Action::Report { member: None, report } => short_report(report),
        Action::Release { results, .. } => {
            let short = |step: &Option<Step>| match step {
                Some(step) => format!("{}={}", step.step_id, step.out.as_deref().unwrap_or("-")),
                None => "none".to_owned(),
            };
            format!("release {}", results.iter().map(short).collect::<Vec<_>>().join(" "))
        }
        Action::End(Ending::Failed(failure)) => format!("end failed: {}", failure.message),
        Action::End(ending) => format!("end {ending:?}"),
    }
}

fn short_report(report: &Report) -> String {
    let park = |park: bool| if park { " park" } else { "" };
    match report {
        Report::Plan(steps) => {
            let plans = steps
                .iter()
                .map(|step| format!("{}/{} {}", step.position(), step.concurrent, step.step_name));
            format!("plan {}", plans.collect::<Vec<_>>().join(", "))
        }
        Report::Append(step) => format!("append {}={}", step.step_id, step.out.as_deref().unwrap_or("-")),
        Report::Sleep { step, park: p } => {
            format!("sleep {} until {}{}", step.step_id, step.sleep_until.unwrap(), park(*p))
        }
        Report::Wait { step, event_id, park: p, .. } => {
            format!("wait {} for {event_id}{}", step.step_id, park(*p))
        }
        Report::Notify { step, event_id, .. } => format!("notify {} of {event_id}", step.step_id),
        Report::Failed(failure) => {
            format!("failed {}{}: {}", failure.step_id, park(failure.park), failure.message)
        }
        Report::Park { retry_at: None } => "park".to_owned(),
        Report::Park { retry_at: Some(due) } => format!("park until {due}"),
        Report::Call { step, park, .. } => {
            format!("call {}{}", step.step_id, if *park { " park" } else { "" })
        }
        Report::Invoke { step, park, .. } => {
            format!("invoke {}{}", step.step_id, if *park { " park" } else { "" })
        }
        Report::CreateWebhook(step) => format!("webhook {}", step.step_id),
        Report::Cancel => "cancel".to_owned(),
        Report::Complete { output } => format!("complete {}", output.as_deref().unwrap_or("-")),
    }
}

#[track_caller]
fn claim(name: &str, work: Work) -> Claim {
    Claim { name: name.to_owned(), work, location: Location::caller() }
}

#[track_caller]
fn run(name: &str) -> Claim {
    claim(name, Work::Run { max_retries: None, record_failure: false })
}

#[track_caller]
fn runs<const N: usize>(names: [&str; N]) -> [Claim; N] {
    names.map(run)
}

#[track_caller]
fn sleep(name: &str, seconds: u64) -> Claim {
    claim(name, Work::SleepFor(std::time::Duration::from_secs(seconds)))
}

#[track_caller]
fn wait(name: &str) -> Claim {
    claim(name, Work::Wait { event_id: "event".to_owned(), timeout: std::time::Duration::from_secs(60) })
}

fn result(id: u32, concurrent: u32, name: &str) -> Step {
    let mut step = Step::new(id, name, StepType::Run);
    step.concurrent = concurrent;
    step.out = Some(format!("\"{name}\""));
    step
}

fn plan(target: u32, concurrent: u32, name: &str) -> Step {
    let mut step = result(0, concurrent, name);
    step.target_step = Some(target);
    step.out = None;
    step
}

fn asleep(id: u32, name: &str, until: f64) -> Step {
    let mut step = Step::new(id, name, StepType::SleepFor);
    step.sleep_until = Some(until);
    step
}

/// The answer to a report that recorded a step.
fn recorded(id: u32, concurrent: u32, name: &str) -> Reply {
    Reply::Recorded(result(id, concurrent, name))
}
