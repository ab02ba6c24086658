//! Steps that are executed one after the other in one invocation.

use super::*;

#[test]
fn a_new_step_runs_is_recorded_and_released() {
    let mut script = Script::new(Mode::Continue, vec![]);
    assert_eq!(script.claims([run("a")]), ["run 0 attempt 1"]);
    assert_eq!(script.ran(0, Ok("1")), ["0: append 1=1"]);
    assert_eq!(script.replies(0, recorded(1, 1, "a")), ["release 1=\"a\""]);
    assert_eq!(script.claims([run("b")]), ["run 0 attempt 1"]);
    assert_eq!(script.ran(0, Ok("2")), ["0: append 2=2"]);
    assert_eq!(script.replies(0, recorded(2, 1, "b")), ["release 2=\"b\""]);
    assert_eq!(script.returns(Ok(Some("3"))), ["complete 3"]);
    assert_eq!(script.replies(None, Reply::Done), ["end Completed"]);
}

#[test]
fn recorded_steps_are_released_without_a_report() {
    let mut script = Script::new(Mode::Continue, vec![result(1, 1, "a"), result(2, 1, "b")]);
    assert_eq!(script.claims([run("a")]), ["release 1=\"a\""]);
    assert_eq!(script.claims([run("b")]), ["release 2=\"b\""]);
    assert_eq!(script.returns(Ok(None)), ["complete -"]);
}

#[test]
fn members_of_a_group_are_reported_as_they_end_and_released_together() {
    let mut script = Script::new(Mode::Continue, vec![]);
    let started = script.claims([run("a"), sleep("b", 5), run("c")]);
    assert_eq!(started, ["run 0 attempt 1", "1: sleep 2 until 1005", "run 2 attempt 1"]);
    assert_eq!(script.ran(2, Ok("3")), ["2: append 3=3"]);
    assert_eq!(script.replies(1, Reply::Pending), [""; 0]);
    assert_eq!(script.replies(2, recorded(3, 3, "c")), [""; 0]);
    assert_eq!(script.ran(0, Ok("1")), ["0: append 1=1"]);
    assert_eq!(script.replies(0, recorded(1, 3, "a")), ["park"]);
    assert_eq!(script.replies(None, Reply::Done), ["end Suspended"]);
}

#[test]
fn a_group_is_matched_by_name_whatever_the_order_of_its_claims() {
    let history = vec![result(3, 4, "c"), result(1, 4, "a")];
    for names in [["a", "b", "c", "d"], ["b", "c", "d", "a"], ["c", "d", "a", "b"], ["d", "a", "b", "c"]] {
        let mut script = Script::new(Mode::Continue, history.clone());
        let started = script.claims(runs(names));
        assert_eq!(started.len(), 2, "only what is not recorded runs: {started:?}");
        let mut results = names.map(|_| String::new());
        let mut free = [2, 4].into_iter();
        for (member, name) in names.into_iter().enumerate() {
            let id = match name {
                "a" => 1,
                "c" => 3,
                _ => {
                    let id = free.next().unwrap();
                    assert_eq!(script.ran(member, Ok("0")), [format!("{member}: append {id}=0")]);
                    id
                }
            };
            results[member] = format!("{id}=\"{name}\"");
        }
        let mut last = Vec::new();
        for (member, name) in names.into_iter().enumerate().filter(|(_, name)| ["b", "d"].contains(name)) {
            let id: u32 = results[member].split('=').next().unwrap().parse().unwrap();
            last = script.replies(member, recorded(id, 4, name));
        }
        assert_eq!(last, [format!("release {}", results.join(" "))]);
    }
}

#[test]
fn sleeps_and_waits_alone_in_their_group_park_by_themselves() {
    for (step, report) in
        [(sleep("s", 2), "0: sleep 1 until 1002 park"), (wait("w"), "0: wait 1 for event park")]
    {
        let mut script = Script::new(Mode::Continue, vec![]);
        assert_eq!(script.claims([step]), [report]);
        assert_eq!(script.replies(0, Reply::Pending), ["end Suspended"]);
    }
}

#[test]
fn a_wait_that_finds_a_stored_notification_goes_on() {
    let mut script = Script::new(Mode::Continue, vec![]);
    script.claims([wait("w")]);
    let mut step = Step::new(1, "w", StepType::Wait);
    step.out = Some("MQ==".to_owned());
    assert_eq!(script.replies(0, Reply::Recorded(step)), ["release 1=MQ=="]);
}

#[test]
fn a_recorded_sleep_is_over_when_it_is_due() {
    let history = vec![asleep(1, "s", 1000.5)];
    let mut script = Script::new(Mode::Continue, history.clone());
    script.now = 1_000_499;
    assert_eq!(script.claims([sleep("s", 2)]), ["park"]);
    let mut script = Script::new(Mode::Continue, history);
    script.now = 1_000_500;
    assert_eq!(script.claims([sleep("s", 2)]), ["release 1=-"]);
}

#[test]
fn a_step_whose_next_attempt_is_not_due_waits() {
    let failed = |due| Attempts::of_steps(&[FailedAttempts { step_id: 1, count: 2, due }]);
    let mut script = Script::with_attempts(Mode::Continue, vec![], failed(NOW + 1));
    assert_eq!(script.claims([run("a")]), [format!("park until {}", NOW + 1)]);
    let mut script = Script::with_attempts(Mode::Continue, vec![], failed(NOW));
    assert_eq!(script.claims([run("a")]), ["run 0 attempt 3"]);
}

#[test]
fn a_failed_step_parks_alone_but_not_in_a_group() {
    let mut script = Script::new(Mode::Continue, vec![]);
    script.claims([run("a")]);
    assert_eq!(script.ran(0, Err(Error::msg("no"))), ["0: failed 1 park: no"]);
    assert_eq!(script.replies(0, Reply::RetryAt(NOW + 5)), ["end Suspended"]);

    let mut script = Script::new(Mode::Continue, vec![]);
    script.claims(runs(["a", "b"]));
    assert_eq!(script.ran(0, Err(Error::msg("no"))), ["0: failed 1: no"]);
    assert_eq!(script.replies(0, Reply::RetryAt(NOW + 5)), [""; 0]);
    assert_eq!(script.ran(1, Ok("2")), ["1: append 2=2"]);
    assert_eq!(script.replies(1, recorded(2, 2, "b")), [format!("park until {}", NOW + 5)]);
}

#[test]
fn a_group_parks_until_the_first_of_its_retries() {
    let attempts = |step_id, due| FailedAttempts { step_id, count: 1, due };
    // The third one is over: the function has come past it.
    let failed = [attempts(1, NOW + 9), attempts(2, NOW + 7), attempts(4, NOW - 1)];
    let mut script = Script::with_attempts(Mode::Continue, vec![], Attempts::of_steps(&failed));
    assert_eq!(script.claims([run("a"), run("b"), wait("w")]), ["2: wait 3 for event"]);
    assert_eq!(script.replies(2, Reply::Pending), [format!("park until {}", NOW + 7)]);
}

#[test]
fn a_final_failure_is_recorded_where_the_step_wants_it() {
    let mut script = Script::new(Mode::Continue, vec![]);
    script.claims([claim("a", Work::Run { max_retries: Some(0), record_failure: true })]);
    script.replay.ran(0, Err(Error::msg("no")));
    let Some(Action::Report { report: Report::Failed(failure), .. }) = script.replay.next_action() else {
        panic!("no failure is reported");
    };
    assert_eq!(failure.max_retries, Some(0));
    let record = failure.record.unwrap();
    assert_eq!(record.out.as_deref(), Some(r#"{"Err":{"message":"no"}}"#));
    assert_eq!(script.replies(0, Reply::Recorded(record)), [r#"release 1={"Err":{"message":"no"}}"#]);
}

#[test]
fn when_the_run_has_ended_elsewhere_nothing_goes_on() {
    let mut script = Script::new(Mode::Continue, vec![]);
    script.claims(runs(["a", "b"]));
    script.ran(0, Ok("1"));
    assert_eq!(script.replies(0, Reply::Ended), ["end RunEnded"]);
    assert_eq!(script.ran(1, Ok("2")), ["1: append 2=2"], "the driver has stopped by then");
    assert!(!script.replay.takes_claims());
}

#[test]
fn a_dropped_member_does_not_hold_up_its_group() {
    let mut script = Script::new(Mode::Continue, vec![]);
    script.claims(runs(["a", "b"]));
    assert_eq!(script.drops(0), [""; 0]);
    assert_eq!(script.ran(0, Ok("1")), ["0: append 1=1"], "a result that is there already counts");
    script.replies(0, recorded(1, 2, "a"));
    script.ran(1, Ok("2"));
    assert_eq!(script.replies(1, recorded(2, 2, "b")), ["release 1=\"a\" 2=\"b\""]);

    let mut script = Script::new(Mode::Continue, vec![]);
    script.claims(runs(["a", "b"]));
    script.ran(1, Ok("2"));
    script.replies(1, recorded(2, 2, "b"));
    assert_eq!(script.drops(0), ["release none 2=\"b\""]);
}

#[test]
fn the_last_report_waits_for_the_answers_of_the_others() {
    let mut script = Script::new(Mode::Continue, vec![]);
    script.claims(runs(["a", "b"]));
    script.ran(0, Ok("1"));
    assert_eq!(script.returns(Err(Error::msg("enough"))), [""; 0]);
    assert_eq!(script.replies(0, recorded(1, 2, "a")), ["failed 2 park: enough"]);
    assert_eq!(script.replies(None, Reply::RetryAt(NOW)), ["end Suspended"]);
}

#[test]
fn an_error_between_steps_belongs_to_the_step_after_the_last_recorded_one() {
    let mut script = Script::new(Mode::Continue, vec![result(1, 1, "a"), result(2, 1, "b")]);
    script.claims([run("a")]);
    script.claims([run("b")]);
    assert_eq!(script.returns(Err(Error::msg("no"))), ["failed 3 park: no"]);
}

#[test]
fn what_the_engine_refuses_is_a_failure_of_the_step() {
    let mut script = Script::new(Mode::Continue, vec![]);
    script.claims([claim(
        "tell",
        Work::Notify {
            event_id: "e".to_owned(),
            data: Default::default(),
            run_id: Some("wfr_gone".to_owned()),
        },
    )]);
    assert_eq!(script.replay.refused(0, "no such run".to_owned()), Ok(()));
    assert_eq!(script.actions(), ["0: failed 1 park: no such run"]);
    assert_eq!(script.replay.failure.as_ref().map(|failure| failure.retry), Some(Retry::Never));
    assert_eq!(script.replay.refused(0, "not that either".to_owned()), Err("not that either".to_owned()));
    assert_eq!(script.replies(0, Reply::Ended), ["end RunEnded"]);
}
