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
            "step 1 is recorded as `charge` (Run)",
            "`refund` (Run) at",
            "divergence.rs:",
            "roll the change back",
        ],
    );
    diverges(
        vec![result(1, 1, "charge")],
        vec![sleep("charge", 1)],
        &["step 1 is recorded as `charge` (Run)", "`charge` (SleepUntil) at"],
    );
    diverges(
        vec![result(1, 2, "a"), result(2, 2, "b")],
        vec![run("a"), run("c")],
        &["step 2 is recorded as `b` (Run)", "`c` (Run) at"],
    );
}

#[test]
fn another_size_is_told() {
    diverges(
        vec![result(1, 2, "a"), result(2, 2, "b")],
        vec![run("a")],
        &["one of 2", "asks for 1", "`a` at"],
    );
    diverges(vec![result(2, 3, "b")], vec![run("a")], &["`b` is recorded as one of 3", "asks for 1"]);
    diverges(vec![result(1, 1, "a")], vec![run("a"), run("b")], &["step 1 `a`", "one of 1", "asks for 2"]);
    diverges(vec![plan(1, 2, "a"), plan(2, 2, "b")], vec![run("a")], &["one of 2", "asks for 1"]);
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
fn a_function_that_returns_too_early_diverges() {
    let mut script = Script::new(Mode::Continue, vec![result(1, 1, "a"), result(2, 1, "b")]);
    script.claims([run("a")]);
    let actions = script.returns(Ok(None));
    assert!(actions[0].starts_with("failed 3") && actions[0].contains("step 2 `b`"), "{actions:?}");
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
