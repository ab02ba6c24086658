//! Programs that do not fit their history, and programs that break a rule.

use super::*;

#[track_caller]
fn diverges(history: Vec<Step>, claims: Vec<Claim>, parts: &[&str]) {
    for mode in [Mode::Continue, Mode::Suspend] {
        let mut script = Script::new(mode, history.clone());
        let again = claims.iter().map(|c| Claim {
            name: c.name.clone(),
            work: match c.work {
                Work::Run { .. } => Work::Run { max_retries: None, record_failure: false },
                _ => Work::SleepUntil(1.0),
            },
            location: c.location,
        });
        let actions = script.claims(again);
        let [report] = actions.as_slice() else { panic!("{mode:?}: {actions:?}") };
        assert!(report.starts_with("failed "), "{report}");
        for part in parts {
            assert!(report.contains(part), "{mode:?}: {part} in {report}");
        }
    }
}

#[test]
fn another_name_or_type_is_told_with_both_sides_and_the_place() {
    diverges(
        vec![result(1, 1, "charge")],
        vec![run("refund")],
        &[
            "recorded is step 1 `charge` (Run)",
            "asks for step 1 `refund` (Run) at",
            "divergence.rs:",
            "roll the change back",
        ],
    );
    diverges(
        vec![result(1, 1, "charge")],
        vec![sleep("charge", 1)],
        &["recorded is step 1 `charge` (Run)", "step 1 `charge` (SleepUntil) at"],
    );
    diverges(
        vec![result(1, 2, "a"), result(2, 2, "b")],
        vec![run("a"), run("c")],
        &["recorded is step 2 `b` (Run)", "`c` (Run) at"],
    );
}

#[test]
fn another_size_is_told() {
    diverges(
        vec![result(1, 2, "a"), result(2, 2, "b")],
        vec![run("a")],
        &["one of 2", "asks for 1 there", "`a` (Run) at"],
    );
    diverges(
        vec![result(2, 3, "b")],
        vec![run("a")],
        &["`b` (Run) as one of 3", "asks for 1 there, with step 1 `a`"],
    );
    diverges(
        vec![result(1, 1, "a")],
        vec![run("a"), run("b")],
        &["step 1 `a`", "one of 1", "asks for 2 there"],
    );
    diverges(vec![plan(1, 2, "a"), plan(2, 2, "b")], vec![run("a")], &["one of 2", "asks for 1 there"]);
}

#[test]
fn a_gap_in_the_history_is_told() {
    diverges(vec![result(2, 1, "b")], vec![run("a")], &["step 1 `a`", "later step 2 `b`", "select!"]);
    diverges(
        vec![result(1, 2, "a"), result(3, 1, "c")],
        vec![run("a"), run("b")],
        &["step 2 `b`", "later step 3 `c`"],
    );
}

#[test]
fn a_divergence_keeps_the_run_and_says_how_far_all_was_well() {
    let history = vec![result(1, 2, "a"), result(2, 2, "b"), result(3, 1, "c"), result(4, 1, "d")];
    let mut script = Script::new(Mode::Continue, history);
    script.claims(runs(["b", "a"]));
    script.replay.claimed(vec![run("other")], || NOW);
    let Some(Action::Report { report: Report::Failed(failure), .. }) = script.replay.next_action() else {
        panic!("no failure is reported");
    };
    assert!(failure.keep && failure.park, "{failure:?}");
    assert_eq!((failure.retry, failure.step_id, failure.step_name), (Retry::Backoff, 0, None));

    let divergence = script.replay.divergence().unwrap();
    assert_eq!((&divergence.kind, divergence.position), (&DivergenceKind::Step, 3));
    let (recorded, produced) = (divergence.recorded.as_ref().unwrap(), divergence.produced.as_ref().unwrap());
    assert_eq!((recorded.position, recorded.name.as_str(), recorded.concurrent), (3, "c", 1));
    assert_eq!((produced.position, produced.name.as_str(), produced.concurrent), (3, "other", 1));
    let last = divergence.last_match.as_ref().unwrap();
    assert_eq!((last.position, last.name.as_str(), last.concurrent), (2, "b", 2));
    assert!(failure.message.contains("They agree up to step 2 `b` (Run) at "), "{}", failure.message);
}

#[test]
fn a_function_that_returns_too_early_diverges() {
    let mut script = Script::new(Mode::Continue, vec![result(1, 1, "a"), result(2, 1, "b")]);
    script.claims([run("a")]);
    let actions = script.returns(Ok(None));
    for part in
        ["failed 0 park", "recorded is step 2 `b`", "has returned before it", "agree up to step 1 `a`"]
    {
        assert!(actions[0].contains(part), "{part} in {actions:?}");
    }
}

#[test]
fn an_error_before_the_end_of_the_history_keeps_the_run() {
    let mut script = Script::new(Mode::Continue, vec![result(1, 1, "a"), result(2, 1, "b")]);
    script.claims([run("a")]);
    script.replay.returned(Err(Error::non_retryable("no such customer")));
    let Some(Action::Report { report: Report::Failed(failure), .. }) = script.replay.next_action() else {
        panic!("no failure is reported");
    };
    assert!(failure.keep && failure.retry == Retry::Backoff, "{failure:?}");
    for part in ["recorded is step 2 `b`", "has failed before it (no such customer)"] {
        assert!(failure.message.contains(part), "{part} in {}", failure.message);
    }
}

#[test]
fn names_in_a_group_must_differ_and_be_there() {
    let mut script = Script::new(Mode::Continue, vec![]);
    script.replay.claimed(vec![run("a"), run("b"), run("a")], || NOW);
    let Some(Action::Report { report: Report::Failed(failure), .. }) = script.replay.next_action() else {
        panic!("no failure is reported");
    };
    assert_eq!(failure.retry, Retry::Never);
    assert!(failure.message.contains("both named `a`"), "{}", failure.message);

    let mut script = Script::new(Mode::Continue, vec![]);
    assert!(script.claims([run("")])[0].contains("empty name"));
}
