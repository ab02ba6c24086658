//! One step in each invocation.

use super::*;

#[test]
fn one_step_is_done_in_each_invocation() {
    let mut script = Script::new(Mode::Suspend, vec![]);
    assert_eq!(script.claims([run("a")]), ["run 0 attempt 1"]);
    assert_eq!(script.ran(0, Ok("1")), ["0: append 1=1"]);
    assert_eq!(script.replies(0, Reply::Pending), ["end Suspended"]);

    let mut script = Script::new(Mode::Suspend, vec![result(1, 1, "a")]);
    assert_eq!(script.claims([run("a")]), ["release 1=\"a\""]);
    assert_eq!(script.claims([sleep("s", 2)]), ["0: sleep 2 until 1002 park"]);
    assert_eq!(script.replies(0, Reply::Pending), ["end Suspended"]);

    let mut script = Script::new(Mode::Suspend, vec![result(1, 1, "a"), asleep(2, "s", 9999.0)]);
    script.claims([run("a")]);
    assert_eq!(script.claims([sleep("s", 2)]), ["release 2=-"], "the engine says when a sleep is over");
    assert_eq!(script.returns(Ok(Some("1"))), ["complete 1"]);
    assert_eq!(script.replies(None, Reply::Done), ["end Completed"]);
}

#[test]
fn a_group_is_announced_run_one_by_one_and_released_by_its_last_result() {
    let group = || [run("a"), sleep("b", 5), run("c")];
    let slept = |step: Step| Step { step_type: StepType::SleepFor, ..step };
    let plans = vec![plan(1, 3, "a"), slept(plan(2, 3, "b")), plan(3, 3, "c")];
    let results = [result(3, 3, "c"), result(1, 3, "a"), slept(result(2, 3, "b"))];

    let mut first = Script::new(Mode::Suspend, vec![]);
    assert_eq!(first.claims(group()), ["plan 1/3 a, 2/3 b, 3/3 c"]);
    assert_eq!(first.replies(None, Reply::Pending), ["end Suspended"]);

    // Each plan is delivered with the log up to itself, possibly with results of others in it.
    let mut log = plans[..1].to_vec();
    assert_eq!(Script::new(Mode::Suspend, log.clone()).claims(group()), ["run 0 attempt 1"]);
    log = plans[..2].to_vec();
    assert_eq!(
        Script::new(Mode::Suspend, log).claims(group()),
        ["1: append 2=-"],
        "its plan has slept already"
    );
    let mut script = Script::new(Mode::Suspend, plans.clone());
    assert_eq!(script.claims(group()), ["run 2 attempt 1"]);
    assert_eq!(script.ran(2, Ok("3")), ["2: append 3=3"]);
    assert_eq!(script.replies(2, Reply::Pending), ["end Suspended"]);

    // Results are delivered in the order in which they came; only the last of them makes the function go on.
    for count in 1..=3 {
        let log = [&plans[..], &results[..count]].concat();
        let actions = Script::new(Mode::Suspend, log).claims(group());
        if count < 3 {
            assert_eq!(actions, ["end Suspended"]);
        } else {
            assert_eq!(actions, ["release 1=\"a\" 2=\"b\" 3=\"c\""]);
        }
    }
}

#[test]
fn plans_are_found_by_name_too() {
    let log = vec![plan(1, 2, "a"), plan(2, 2, "b")];
    let mut script = Script::new(Mode::Suspend, log);
    assert_eq!(
        script.claims(runs(["b", "a"])),
        ["run 0 attempt 1"],
        "`b` is delivered, and was claimed first"
    );
    assert_eq!(script.ran(0, Ok("2")), ["0: append 2=2"]);
}

#[test]
fn the_second_group_continues_the_numbers() {
    let log = vec![plan(1, 2, "a"), plan(2, 2, "b"), result(1, 2, "a"), result(2, 2, "b"), plan(3, 2, "c")];
    let mut script = Script::new(Mode::Suspend, log);
    assert_eq!(script.claims(runs(["a", "b"])), ["release 1=\"a\" 2=\"b\""]);
    assert_eq!(script.claims(runs(["c", "d"])), ["run 0 attempt 1"]);
}

#[test]
fn a_plan_whose_result_is_there_is_not_run_again() {
    let log = vec![plan(2, 2, "b"), result(1, 2, "a"), plan(1, 2, "a")];
    assert_eq!(Script::new(Mode::Suspend, log).claims(runs(["a", "b"])), ["end Suspended"]);
}

#[test]
fn a_repeated_last_entry_is_answered_as_such() {
    for log in
        [vec![result(1, 1, "a"), result(1, 1, "a")], vec![plan(1, 2, "a"), plan(2, 2, "b"), plan(1, 2, "a")]]
    {
        assert_eq!(Script::new(Mode::Suspend, log).actions(), ["end Repeated"]);
    }
}

#[test]
fn of_repetitions_before_the_last_entry_the_first_counts() {
    let mut other = result(1, 1, "a");
    other.out = Some("2".to_owned());
    let log = vec![result(1, 1, "a"), other, result(2, 1, "b")];
    let mut script = Script::new(Mode::Suspend, log);
    assert_eq!(script.claims([run("a")]), ["release 1=\"a\""]);
    assert_eq!(script.claims([run("b")]), ["release 2=\"b\""]);
}

#[test]
fn a_failure_is_told_by_the_answer() {
    let delivery = |failed| Attempts::OfDelivery { failed, retries: 3 };
    let mut script = Script::with_attempts(Mode::Suspend, vec![], delivery(2));
    assert_eq!(script.claims([run("a")]), ["run 0 attempt 3"]);
    assert_eq!(script.ran(0, Err(Error::msg("no"))), ["0: failed 1 park: no"]);
    assert_eq!(script.replies(0, Reply::Answer), ["end failed: no"]);
}

#[test]
fn retries_of_a_step_are_counted_where_the_engine_does_not() {
    for (failed, expected) in [(0, Retry::Backoff), (1, Retry::Never)] {
        let attempts = Attempts::OfDelivery { failed, retries: 3 };
        let mut script = Script::with_attempts(Mode::Suspend, vec![], attempts);
        script.claims([claim("a", Work::Run { max_retries: Some(1), record_failure: false })]);
        script.ran(0, Err(Error::msg("no")));
        script.replay.replied(Some(0), Reply::Answer, || NOW);
        let Some(Action::End(Ending::Failed(failure))) = script.replay.next_action() else {
            panic!("no failure is answered");
        };
        assert_eq!(failure.retry, expected);
    }
}

#[test]
fn hostile_histories_do_no_harm() {
    let mut nameless = Step::new(0, "", StepType::Initial);
    nameless.concurrent = 0;
    let log = vec![
        nameless.clone(),
        plan(u32::MAX, u32::MAX, "x"),
        result(u32::MAX, 0, "x"),
        plan(0, 0, "x"),
        nameless,
    ];
    for mode in [Mode::Continue, Mode::Suspend] {
        let mut script = Script::new(mode, log.clone());
        let actions = script.claims(runs(["a", "b"]));
        assert_eq!(actions.len(), 1, "{actions:?}");
        let _ = script.returns(Ok(None));
    }
}
