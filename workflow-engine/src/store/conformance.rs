//! What every store must do: one suite, run against each implementation.

use workflow::{
    client::{CallbackState, DlqFilter, RunFilter, RunState, StepError},
    protocol::{Step, StepType},
};

use super::*;

/// Runs the suite. `open` gives an empty store.
pub fn check(open: impl Fn() -> Box<dyn Store>) {
    for test in [
        a_rollback_leaves_nothing,
        runs_are_found_by_key_and_by_their_newest_id,
        the_first_entry_of_an_identity_wins,
        a_history_is_cut_at_a_position,
        deliveries_fall_due_in_order,
        waiters_are_taken_in_the_order_of_their_coming,
        waits_for_answers_and_ends_are_no_waits_for_events,
        requests_are_kept_apart_from_what_a_workflow_is_called_with,
        stored_notifications_are_taken_first_in_first_out,
        an_end_takes_everything_along_that_could_touch_the_run,
        filters_narrow_and_pages_follow_each_other,
        attempts_answers_and_settings_are_kept,
        dead_letters_are_listed_until_they_are_removed,
        filters_narrow_the_dead_letter_queue,
    ] {
        let mut store = open();
        store.begin().unwrap();
        test(store.as_mut());
        store.commit().unwrap();
    }
}

fn new_run(id: &str) -> NewRun {
    let config = RunConfig { labels: vec!["blue".to_owned()], retries: Some(2), ..RunConfig::default() };
    NewRun { id: id.to_owned(), created_at: 1000, url: "/order".to_owned(), config }
}

fn waiter(id: i64, run: RunKey, event: &str, deadline: i64) -> Waiter {
    let detail = WaiterDetail {
        step: Step::new(1, "wait", StepType::Wait),
        headers: Default::default(),
        timeout_headers: Default::default(),
    };
    Waiter { id, awaited: Awaited::Event { id: event.to_owned(), deadline }, run, step_id: 1, detail }
}

fn stored(data: &[u8]) -> StoredNotification {
    StoredNotification { data: data.to_vec(), is_request: false }
}

fn delivery(id: i64, run: RunKey, due: i64) -> Delivery {
    Delivery { id, kind: DeliveryKind::Run, run, position: 0, due, attempt: 0, errors: None }
}

fn a_rollback_leaves_nothing(store: &mut dyn Store) {
    store.commit().unwrap();
    store.begin().unwrap();
    let run = store.insert_run(&new_run("wfr_gone")).unwrap();
    store.append(run, Identity::Init, 1, b"x").unwrap();
    store.rollback();
    store.begin().unwrap();
    assert!(store.run_by_id("wfr_gone").unwrap().is_none());
    assert!(store.history(run, i64::MAX).unwrap().is_empty());
}

fn runs_are_found_by_key_and_by_their_newest_id(store: &mut dyn Store) {
    let first = store.insert_run(&new_run("wfr_a")).unwrap();
    let end = RunEnd { state: RunState::RunSuccess, at: 2000, output: Some("1".to_owned()) };
    store.end_run(first, &end).unwrap();
    let second = store.insert_run(&new_run("wfr_a")).unwrap();
    assert!(second > first);
    assert_eq!(store.run_by_id("wfr_a").unwrap().unwrap().key, second);
    assert!(store.is_active(second).unwrap() && !store.is_active(first).unwrap());
    let ended = store.run(first).unwrap().unwrap();
    assert_eq!((ended.state, ended.finished_at, ended.output.as_deref()), (end.state, Some(2000), Some("1")));
    assert_eq!(ended.config, new_run("wfr_a").config);
    assert!(store.run(99).unwrap().is_none() && store.run_by_id("wfr_b").unwrap().is_none());
    assert!(!store.is_active(99).unwrap());
    store.set_wake_at(second, 77).unwrap();
    assert_eq!(store.run(second).unwrap().unwrap().wake_at, 77);
}

fn the_first_entry_of_an_identity_wins(store: &mut dyn Store) {
    let run = store.insert_run(&new_run("wfr_a")).unwrap();
    let other = store.insert_run(&new_run("wfr_b")).unwrap();
    let Appended::At(init) = store.append(run, Identity::Init, 1, b"payload").unwrap() else {
        panic!("duplicate")
    };
    let Appended::At(plan) = store.append(run, Identity::Plan(1), 2, b"plan").unwrap() else {
        panic!("duplicate")
    };
    let Appended::At(result) = store.append(run, Identity::Result(1), 3, b"first").unwrap() else {
        panic!("duplicate")
    };
    assert!(init < plan && plan < result);
    assert_eq!(store.append(run, Identity::Result(1), 4, b"second").unwrap(), Appended::Duplicate);
    assert!(matches!(store.append(other, Identity::Result(1), 4, b"other").unwrap(), Appended::At(_)));
    let entry = store.entry(run, Identity::Result(1)).unwrap().unwrap();
    assert_eq!((entry.position, entry.at, entry.data.as_slice()), (result, 3, b"first".as_slice()));
    assert!(store.entry(run, Identity::Result(2)).unwrap().is_none());
}

fn a_history_is_cut_at_a_position(store: &mut dyn Store) {
    let run = store.insert_run(&new_run("wfr_a")).unwrap();
    // Appended in another order than that of their identities.
    let mut positions = Vec::new();
    for identity in
        [Identity::Init, Identity::Plan(2), Identity::Plan(1), Identity::Result(2), Identity::Result(1)]
    {
        let Appended::At(position) = store.append(run, identity, 1, b"x").unwrap() else {
            panic!("duplicate")
        };
        positions.push(position);
    }
    let all: Vec<_> = store.history(run, i64::MAX).unwrap().iter().map(|entry| entry.position).collect();
    assert_eq!(all, positions);
    let some: Vec<_> = store.history(run, positions[2]).unwrap().iter().map(|entry| entry.position).collect();
    assert_eq!(some, positions[..3]);
    assert!(store.history(run, i64::MAX).unwrap()[0].is_init());
}

fn deliveries_fall_due_in_order(store: &mut dyn Store) {
    let run = store.insert_run(&new_run("wfr_a")).unwrap();
    for (id, due) in [(1, 300), (2, 100), (3, 200), (4, 100)] {
        store.insert_delivery(&delivery(id, run, due)).unwrap();
    }
    let due = |store: &mut dyn Store, after, until| -> Vec<i64> {
        store.due_deliveries(after, until, 10).unwrap().iter().map(|delivery| delivery.id).collect()
    };
    assert_eq!(due(store, i64::MIN, 200), [2, 4, 3]);
    assert_eq!(due(store, 100, 300), [3, 1]);
    assert_eq!(store.next_delivery_due(200).unwrap(), Some(300));
    assert_eq!(store.next_delivery_due(300).unwrap(), None);
    assert_eq!(store.last_ids().unwrap().delivery, 4);
    store.remove_delivery(3).unwrap();
    assert!(store.delivery(3).unwrap().is_none() && store.has_delivery(run).unwrap());
    store.remove_deliveries(run).unwrap();
    assert!(!store.has_delivery(run).unwrap());
}

fn waiters_are_taken_in_the_order_of_their_coming(store: &mut dyn Store) {
    let run = store.insert_run(&new_run("wfr_a")).unwrap();
    let other = store.insert_run(&new_run("wfr_b")).unwrap();
    for id in 1..=12 {
        let (run, deadline) = if id % 2 == 0 { (run, 500) } else { (other, 100) };
        store.insert_waiter(&waiter(id, run, "e/1?#%ü", deadline)).unwrap();
    }
    let ids = |waiters: Vec<Waiter>| waiters.iter().map(|waiter| waiter.id).collect::<Vec<_>>();
    assert_eq!(ids(store.waiters("e/1?#%ü", 100).unwrap()), (1..=12).collect::<Vec<_>>());
    assert_eq!(ids(store.waiters_of_run(run).unwrap()), [2, 4, 6, 8, 10, 12]);
    assert_eq!(store.oldest_waiter(run, "e/1?#%ü").unwrap().unwrap().id, 2);
    assert!(store.oldest_waiter(run, "e/1").unwrap().is_none());
    assert!(
        store.waiter_of_step(run, 1).unwrap().is_some() && store.waiter_of_step(run, 2).unwrap().is_none()
    );
    assert_eq!(store.next_waiter_due().unwrap(), Some(100));
    assert_eq!(ids(store.due_waiters(100, 3).unwrap()), [1, 3, 5]);
    store.remove_waiter(2).unwrap();
    assert_eq!((store.count_waiters(run).unwrap(), store.last_ids().unwrap().waiter), (5, 12));
}

fn waits_for_answers_and_ends_are_no_waits_for_events(store: &mut dyn Store) {
    let run = store.insert_run(&new_run("wfr_a")).unwrap();
    let child = store.insert_run(&new_run("wfr_b")).unwrap();
    let event = waiter(1, run, "", 500);
    for (id, awaited) in [(2, Awaited::Answer), (3, Awaited::End(child)), (4, Awaited::End(child))] {
        store.insert_waiter(&Waiter { id, awaited, step_id: 2, ..event.clone() }).unwrap();
    }
    assert_eq!((store.next_waiter_due().unwrap(), store.due_waiters(i64::MAX, 9).unwrap().len()), (None, 0));
    store.insert_waiter(&event).unwrap();
    assert_eq!(store.count_waiters(run).unwrap(), 4);
    assert_eq!(store.waiters("", 9).unwrap().len(), 1);
    assert_eq!(store.oldest_waiter(run, "").unwrap().unwrap().awaited, event.awaited);
    assert_eq!(store.next_waiter_due().unwrap(), Some(500));
    assert_eq!(store.due_waiters(i64::MAX, 9).unwrap().len(), 1);
    let for_end = store.waiters_for_end(child).unwrap();
    assert_eq!(for_end.iter().map(|waiter| waiter.id).collect::<Vec<_>>(), [3, 4]);
    assert_eq!(for_end[0].awaited, Awaited::End(child));
    assert!(store.waiters_for_end(run).unwrap().is_empty());
    assert_eq!(store.waiter_of_step(run, 2).unwrap().unwrap().awaited, Awaited::Answer);
    store.end_run(child, &RunEnd { state: RunState::RunSuccess, at: 2, output: None }).unwrap();
    assert_eq!(store.count_waiters(run).unwrap(), 4, "they are those of the run that waits");
    store.end_run(run, &RunEnd { state: RunState::RunSuccess, at: 2, output: None }).unwrap();
    assert!(store.waiters_for_end(child).unwrap().is_empty());
}

fn requests_are_kept_apart_from_what_a_workflow_is_called_with(store: &mut dyn Store) {
    let run = store.insert_run(&new_run("wfr_a")).unwrap();
    let mut positions = Vec::new();
    let identities = [
        Identity::Init,
        Identity::Request(2),
        Identity::Request(1),
        Identity::Answer(1),
        Identity::Plan(1),
        Identity::Result(1),
    ];
    for identity in identities {
        assert_eq!(Identity::of(identity.code()), identity);
        let Appended::At(position) = store.append(run, identity, 1, b"x").unwrap() else {
            panic!("duplicate")
        };
        positions.push(position);
    }
    assert_eq!(store.append(run, Identity::Request(1), 2, b"y").unwrap(), Appended::Duplicate);
    let of = |entries: Vec<Entry>| entries.iter().map(|entry| entry.position).collect::<Vec<_>>();
    assert_eq!(of(store.history(run, i64::MAX).unwrap()), [positions[0], positions[4], positions[5]]);
    assert_eq!(of(store.requests(run).unwrap()), positions[1..3]);
    let answer = store.entry_at(positions[3]).unwrap().unwrap();
    assert_eq!(Identity::of(answer.code), Identity::Answer(1));
    assert!(store.entry_at(positions[5] + 1).unwrap().is_none());
}

fn stored_notifications_are_taken_first_in_first_out(store: &mut dyn Store) {
    let run = store.insert_run(&new_run("wfr_a")).unwrap();
    let other = store.insert_run(&new_run("wfr_b")).unwrap();
    for number in 0..12_u8 {
        store.store_notification(run, "e", &stored(&[number])).unwrap();
    }
    let request = StoredNotification { data: b"{}".to_vec(), is_request: true };
    store.store_notification(run, "f", &request).unwrap();
    assert_eq!(store.count_notifications(run).unwrap(), 13);
    for number in 0..12_u8 {
        assert_eq!(store.take_notification(run, "e").unwrap(), Some(stored(&[number])));
    }
    assert_eq!(store.take_notification(run, "e").unwrap(), None);
    assert_eq!(store.take_notification(other, "f").unwrap(), None);
    assert_eq!(store.take_notification(run, "f").unwrap(), Some(request));
}

fn an_end_takes_everything_along_that_could_touch_the_run(store: &mut dyn Store) {
    let run = store.insert_run(&new_run("wfr_a")).unwrap();
    store.append(run, Identity::Init, 1, b"payload").unwrap();
    store.insert_delivery(&delivery(1, run, 1)).unwrap();
    store.insert_waiter(&waiter(1, run, "e", 1)).unwrap();
    store.store_notification(run, "e", &stored(b"x")).unwrap();
    let end = RunEnd { state: RunState::RunCanceled, at: 2, output: None };
    store.end_run(run, &end).unwrap();
    assert!(!store.has_delivery(run).unwrap());
    assert_eq!((store.count_waiters(run).unwrap(), store.count_notifications(run).unwrap()), (0, 0));
    assert_eq!(store.history(run, i64::MAX).unwrap().len(), 1);
}

fn filters_narrow_and_pages_follow_each_other(store: &mut dyn Store) {
    let mut keys = Vec::new();
    for number in 0..5 {
        let mut run = new_run(&format!("wfr_{number}"));
        run.created_at = 1000 + number;
        run.url = format!("/order{}", if number % 2 == 0 { "" } else { "/special_%" });
        run.config.labels = vec![format!("l{number}"), "all".to_owned()];
        keys.push(store.insert_run(&run).unwrap());
    }
    let end = RunEnd { state: RunState::RunCanceled, at: 1, output: None };
    store.end_run(keys[4], &end).unwrap();
    let list = |store: &mut dyn Store, filter: &RunFilter| -> Vec<usize> {
        let runs = store.list(filter, RunKey::MAX, 100).unwrap();
        runs.iter().map(|run| keys.iter().position(|key| *key == run.key).unwrap()).collect()
    };
    let filter = RunFilter::default();
    assert_eq!(list(store, &filter), [4, 3, 2, 1, 0]);
    let by_url = |url: &str, exact_url| RunFilter {
        workflow_urls: vec![url.to_owned()],
        exact_url,
        ..Default::default()
    };
    assert_eq!(list(store, &by_url("/order", true)), [4, 2, 0]);
    assert_eq!(list(store, &by_url("/order/special_", false)), [3, 1]);
    assert_eq!(list(store, &by_url("/order/special-", false)), [] as [usize; 0]);
    let labels = vec!["l1".to_owned(), "l2".to_owned()];
    assert_eq!(list(store, &RunFilter { labels, ..Default::default() }), [2, 1]);
    let run_ids = vec!["wfr_3".to_owned(), "wfr_9".to_owned()];
    assert_eq!(list(store, &RunFilter { run_ids, ..Default::default() }), [3]);
    assert_eq!(list(store, &RunFilter { states: vec![RunState::RunCanceled], ..Default::default() }), [4]);
    assert_eq!(list(store, &RunFilter { from: Some(1001), to: Some(1002), ..Default::default() }), [2, 1]);
    assert_eq!(list(store, &RunFilter { created_at: Some(1003), ..Default::default() }), [3]);
    let page: Vec<_> = store.list(&filter, keys[3], 2).unwrap().iter().map(|run| run.key).collect();
    assert_eq!(page, [keys[2], keys[1]]);
    assert_eq!(store.select_active(&filter, 3).unwrap(), keys[..3]);
}

fn failed(store: &mut dyn Store, run: NewRun, at: i64, status: u16, callback: Option<ToldFailure>) -> i64 {
    let run = store.insert_run(&run).unwrap();
    let answer = StepError { status, body: "why".to_owned(), ..StepError::default() };
    let failed = FailedDelivery { position: 7, answer, retried: 2, max_retries: 3, ..Default::default() };
    let letter = NewDeadLetter { run, at, reason: "because".to_owned(), failed, callback };
    store.insert_dead_letter(&letter).unwrap()
}

fn numbers(store: &mut dyn Store, filter: &DlqFilter) -> Vec<i64> {
    store.dead_letters(filter, i64::MAX, 100).unwrap().iter().map(|letter| letter.number).collect()
}

fn dead_letters_are_listed_until_they_are_removed(store: &mut dyn Store) {
    let mut all = Vec::new();
    for number in 0..4 {
        all.push(failed(store, new_run(&format!("wfr_{number}")), 2000 + number, 500, None));
    }
    let everything = DlqFilter::default();
    assert_eq!(numbers(store, &everything), [all[3], all[2], all[1], all[0]]);
    let page = store.dead_letters(&everything, all[3], 2).unwrap();
    assert_eq!(page.iter().map(|letter| letter.number).collect::<Vec<_>>(), [all[2], all[1]]);
    let letter = store.queued_dead_letter(all[2]).unwrap().unwrap();
    assert_eq!((letter.at, letter.reason.as_str(), letter.failed.position), (2002, "because", 7));
    assert_eq!((letter.failed.answer.status, letter.failed.retried, letter.failed.max_retries), (500, 2, 3));
    assert!(letter.is_queued && letter.callback.is_none());

    let callback = ToldFailure {
        state: CallbackState::Failed,
        url: "/told".to_owned(),
        answer: Some(StepError { status: 503, ..StepError::default() }),
        errors: Vec::new(),
    };
    store.set_callback(all[2], Some(&callback)).unwrap();
    assert_eq!(store.queued_dead_letter(all[2]).unwrap().unwrap().callback, Some(callback));
    let successor = store.insert_run(&new_run("wfr_next")).unwrap();
    let deleted = store.queued_dead_letter(all[3]).unwrap().unwrap();
    store.store_notification(deleted.run, "e", &stored(b"x")).unwrap();
    store.store_notification(letter.run, "e", &stored(b"y")).unwrap();
    store.remove_dead_letter(all[3], None).unwrap();
    store.remove_dead_letter(all[2], Some(successor)).unwrap();
    assert_eq!(store.count_notifications(deleted.run).unwrap(), 0);
    assert_eq!(store.take_notification(successor, "e").unwrap(), Some(stored(b"y")));
    assert_eq!(numbers(store, &everything), [all[1], all[0]]);
    assert!(store.queued_dead_letter(all[2]).unwrap().is_none());
    let removed = store.dead_letter(letter.run).unwrap().unwrap();
    assert_eq!((removed.is_queued, removed.successor), (false, Some(successor)));
    // The number of one that is gone does not come again.
    assert!(failed(store, new_run("wfr_4"), 2000, 500, None) > all[3]);
}

fn filters_narrow_the_dead_letter_queue(store: &mut dyn Store) {
    let told = |state| Some(ToldFailure { state, url: "/".to_owned(), answer: None, errors: Vec::new() });
    let mut special = new_run("wfr_b");
    special.url = "/order/special".to_owned();
    special.created_at = 1001;
    special.config.labels = vec!["red".to_owned()];
    let a = failed(store, new_run("wfr_a"), 2000, 500, None);
    let b = failed(store, special, 2001, 489, told(CallbackState::Failed));
    let c = failed(store, new_run("wfr_c"), 2002, 500, told(CallbackState::Success));
    let none = DlqFilter::default;
    for (filter, expected) in [
        (none(), vec![c, b, a]),
        (DlqFilter { run_ids: vec!["wfr_a".to_owned(), "wfr_c".to_owned()], ..none() }, vec![c, a]),
        (DlqFilter { workflow_url: Some("/order".to_owned()), ..none() }, vec![c, a]),
        (DlqFilter { labels: vec!["red".to_owned()], ..none() }, vec![b]),
        (DlqFilter { from: Some(2001), ..none() }, vec![c, b]),
        (DlqFilter { to: Some(2001), ..none() }, vec![b, a]),
        (DlqFilter { created_at: Some(1001), ..none() }, vec![b]),
        (DlqFilter { response_status: Some(489), ..none() }, vec![b]),
        (DlqFilter { failure_function: vec![CallbackState::Failed], ..none() }, vec![b]),
        (DlqFilter { flow_control_key: Some("k".to_owned()), ..none() }, vec![]),
    ] {
        assert_eq!(numbers(store, &filter), expected, "{filter:?}");
    }
}

fn attempts_answers_and_settings_are_kept(store: &mut dyn Store) {
    let run = store.insert_run(&new_run("wfr_a")).unwrap();
    let mut attempts = Attempts {
        step_id: 2,
        count: 1,
        due: 10,
        errors: "[]".to_owned(),
        step_name: Some("pay".to_owned()),
    };
    store.set_attempts(run, &attempts).unwrap();
    let other = store.insert_run(&new_run("wfr_b")).unwrap();
    for (id, run) in [(1, run), (2, other)] {
        let delivery =
            Delivery { id, kind: DeliveryKind::Run, run, position: 0, due: 99, attempt: 0, errors: None };
        store.insert_delivery(&delivery).unwrap();
    }
    store.hurry(3, 7).unwrap();
    store.hurry(2, 8).unwrap();
    let due = [1, 2].map(|id| store.delivery(id).unwrap().unwrap().due);
    assert_eq!(due, [8, 99]);
    attempts.count = 2;
    store.set_attempts(run, &attempts).unwrap();
    assert_eq!(store.attempts(run).unwrap(), [attempts]);
    store.clear_attempts(run, 2).unwrap();
    assert!(store.attempts(run).unwrap().is_empty());

    store.remember_answer("k", 10, b"answer").unwrap();
    store.forget_answers(10).unwrap();
    assert_eq!(store.answered("k").unwrap().as_deref(), Some(b"answer".as_slice()));
    store.forget_answers(11).unwrap();
    assert_eq!(store.answered("k").unwrap(), None);

    assert_eq!(store.setting("s").unwrap(), None);
    store.set_setting("s", "1").unwrap();
    store.set_setting("s", "2").unwrap();
    assert_eq!(store.setting("s").unwrap().as_deref(), Some("2"));

    let pinned = Pinned { paused: true, parallelism: Some(2), rate: None, period: 0 };
    store.set_pinned("k", &pinned).unwrap();
    assert_eq!(store.pinned("k").unwrap(), pinned);
    assert_eq!(store.pinned("other").unwrap(), Pinned::default());
    let pinned = Pinned { paused: false, parallelism: None, rate: Some(3), period: 2000 };
    store.set_pinned("k", &pinned).unwrap();
    assert_eq!(store.all_pinned().unwrap(), [("k".to_owned(), pinned)]);
    store.set_pinned("k", &Pinned::default()).unwrap();
    assert!(store.all_pinned().unwrap().is_empty());
}
