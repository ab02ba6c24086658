//! The replay check on its own: no engine, histories made by hand.

use std::time::Duration;

use futures_util::future::try_join_all;
use serde_json::json;
use workflow::{
    WaitResult, WorkflowContext,
    engine::RunInfo,
    protocol::{Step, StepType},
    testing::{Divergence, DivergenceKind, History, HistoryError, Replayed, replay},
    workflow,
};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Everything that a workflow can do; no body of a step may run.
#[workflow]
async fn everything(ctx: WorkflowContext<u32>, sizes: Vec<u32>) -> workflow::Result<String> {
    let doubled: u32 = ctx.run("double", async || unreachable!("a check runs no step")).await?;
    if doubled > 1000 {
        return Err(workflow::Error::non_retryable("too much"));
    }
    ctx.sleep("rest", DAY).await?;
    let parts = sizes.iter().map(|size| ctx.run(format!("part {size}"), async || Ok(*size)));
    let sum: u32 = try_join_all(parts).await?.into_iter().sum();
    let told = ctx.notify("tell", "done", &sum).await?;
    match ctx.wait_for_event::<String>("answer", "answered", DAY).await? {
        WaitResult::Received(answer) => Ok(format!("{doubled} {sum} {} {answer}", told.runs().count())),
        WaitResult::TimedOut => Err(workflow::Error::msg(format!("no answer to {}", ctx.workflow_run_id()))),
    }
}

fn recorded(id: u32, name: &str, step_type: StepType, out: &str) -> Step {
    let mut step = Step::new(id, name, step_type);
    step.out = (!out.is_empty()).then(|| out.to_owned());
    step
}

fn part(id: u32, size: u32) -> Step {
    let mut step = recorded(id, &format!("part {size}"), StepType::Run, &size.to_string());
    step.concurrent = 2;
    step
}

/// The whole history of a run, in the order in which it may be recorded.
fn steps() -> Vec<Step> {
    let mut rest = recorded(2, "rest", StepType::SleepFor, "");
    rest.sleep_until = Some(32_503_680_000.0);
    let mut answer = recorded(6, "answer", StepType::Wait, "ImhlbGxvIg==");
    answer.wait_timeout = Some(false);
    let told = r#"{"eventId":"done","eventData":5,"notifyResponse":[]}"#;
    vec![
        recorded(1, "double", StepType::Run, "14"),
        rest,
        part(4, 3),
        part(3, 2),
        recorded(5, "tell", StepType::Notify, told),
        answer,
    ]
}

async fn check(steps: Vec<Step>) -> Result<Replayed, Box<Divergence>> {
    check_with(steps, vec![2, 3]).await
}

async fn check_with(steps: Vec<Step>, sizes: Vec<u32>) -> Result<Replayed, Box<Divergence>> {
    replay::<everything>(&History::new("7", steps), (sizes,)).await
}

async fn next(steps: Vec<Step>) -> Vec<(u32, String)> {
    match check(steps).await {
        Ok(Replayed::EndOfHistory { next }) => {
            next.into_iter().map(|step| (step.position, step.name)).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_whole_history_is_replayed_to_its_end() {
    assert_eq!(check(steps()).await, Ok(Replayed::Completed { output: json!("14 5 0 hello") }));
}

#[tokio::test]
async fn the_steps_that_would_come_next_are_named() {
    let after = |count: usize| steps().into_iter().take(count).collect::<Vec<_>>();
    let named =
        |names: &[(u32, &str)]| names.iter().map(|(id, name)| (*id, (*name).to_owned())).collect::<Vec<_>>();
    assert_eq!(next(after(0)).await, named(&[(1, "double")]));
    assert_eq!(next(after(1)).await, named(&[(2, "rest")]));
    assert_eq!(next(after(2)).await, named(&[(3, "part 2"), (4, "part 3")]), "a recorded sleep is over");
    assert_eq!(next(after(3)).await, named(&[(3, "part 2")]));
    assert_eq!(next(after(4)).await, named(&[(5, "tell")]));
    assert_eq!(next(after(5)).await, named(&[(6, "answer")]));
}

#[tokio::test]
async fn a_function_that_fails_after_its_history_has_failed() {
    let mut timed_out = steps();
    let answer = timed_out.last_mut().unwrap();
    (answer.out, answer.wait_timeout) = (None, Some(true));
    let run = RunInfo { id: "wfr_7".to_owned(), ..RunInfo::default() };
    let history = History::new("7", timed_out).with_run(run);
    let replayed = replay::<everything>(&history, (vec![2, 3],)).await;
    assert_eq!(replayed, Ok(Replayed::Failed { message: "no answer to wfr_7".to_owned() }));
}

#[tokio::test]
async fn a_divergence_has_both_sides() {
    let mut renamed = steps();
    renamed[4].step_name = "announce".to_owned();
    let divergence = check(renamed).await.unwrap_err();
    assert_eq!((&divergence.kind, divergence.position), (&DivergenceKind::Step, 5));
    let recorded = divergence.recorded.as_ref().unwrap();
    assert_eq!((recorded.name.as_str(), recorded.step_type), ("announce", StepType::Notify));
    let produced = divergence.produced.as_ref().unwrap();
    assert_eq!((produced.name.as_str(), produced.step_type), ("tell", StepType::Notify));
    let call = include_str!("check.rs").lines().position(|line| line.contains(r#"ctx.notify("tell""#));
    assert!(produced.location.file().ends_with("check.rs"), "{}", produced.location);
    assert_eq!(produced.location.line() as usize, call.unwrap() + 1);
    assert_eq!(divergence.last_match.as_ref().unwrap().position, 4);
    for part in ["step 5 `announce` (Notify)", "step 5 `tell` (Notify) at "] {
        assert!(divergence.to_string().contains(part), "{part} in {divergence}");
    }
}

#[tokio::test]
async fn every_kind_of_divergence_is_told_apart() {
    let divergence = check_with(steps(), vec![2, 3, 4]).await.unwrap_err();
    assert_eq!((divergence.kind, divergence.position), (DivergenceKind::GroupSize, 3));
    assert_eq!((divergence.recorded.unwrap().concurrent, divergence.produced.unwrap().concurrent), (2, 3));

    let mut with_gap = steps();
    with_gap.remove(4);
    let divergence = check(with_gap).await.unwrap_err();
    assert_eq!((divergence.kind, divergence.position), (DivergenceKind::NotRecorded, 5));
    let (recorded, produced) = (divergence.recorded.unwrap(), divergence.produced.unwrap());
    assert_eq!((recorded.name.as_str(), produced.name.as_str()), ("answer", "tell"));

    let mut too_long = steps();
    too_long.push(self::recorded(7, "more", StepType::Run, "1"));
    let divergence = check(too_long).await.unwrap_err();
    assert_eq!((divergence.kind, divergence.position), (DivergenceKind::Returned { error: None }, 7));
    assert_eq!(divergence.produced, None);

    let mut failing = steps();
    failing[0].out = Some("2000".to_owned());
    let divergence = check(failing).await.unwrap_err();
    let error = Some("too much".to_owned());
    assert_eq!((divergence.kind, divergence.position), (DivergenceKind::Returned { error }, 2));

    let mut other_type = steps();
    other_type[0].out = Some("\"fourteen\"".to_owned());
    let divergence = check(other_type).await.unwrap_err();
    let DivergenceKind::Result { wanted: "u32", reason } = &divergence.kind else { panic!("{divergence}") };
    assert!(reason.contains("expected u32"), "{reason}");

    let history = History::new("\"seven\"", steps());
    let divergence = replay::<everything>(&history, (vec![2, 3],)).await.unwrap_err();
    assert!(matches!(divergence.kind, DivergenceKind::Payload { .. }), "{divergence}");
}

#[tokio::test]
async fn a_history_survives_its_file() {
    let json = History::new("7", steps()).to_json();
    let history = History::from_json(&json).unwrap();
    assert_eq!((&history.payload()[..], history.steps()), (&b"7"[..], &steps()[..]));
    assert_eq!(History::from_json("[]").unwrap_err(), HistoryError::Empty);
}
