//! Good histories, changed at random: a body never runs for a step that the history records, and never twice.

use std::sync::{LazyLock, Mutex, PoisonError};

use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use workflow_tests::hostile::{self, STEP, Target};

use crate::{log, plan, result};

/// One endpoint for all cases. It remembers what it has sent, so cases take turns.
static TARGET: LazyLock<(Runtime, Mutex<Target>)> = LazyLock::new(|| {
    let runtime = Runtime::new().unwrap();
    let target = runtime.block_on(Target::start(false));
    (runtime, Mutex::new(target))
});

fn with_target(test: impl AsyncFnOnce(&Target)) {
    let (runtime, target) = &*TARGET;
    let target = target.lock().unwrap_or_else(PoisonError::into_inner);
    runtime.block_on(test(&target));
}

/// Sends a body as deliveries that carry it whole, and up to a message.
fn deliver(body: &[u8], message: Option<usize>) {
    with_target(async |target| {
        let id = message.map(|message| format!("m{message}"));
        let mut headers = STEP.to_vec();
        headers.extend(id.as_deref().map(|id| ("upstash-message-id", id)));
        match message {
            Some(_) => target.send_lazily(&headers, body.to_vec()).await,
            None => target.send(&headers, body.to_vec()).await,
        };
    });
}

/// Everything that a run of the workflow records, in an order that an engine may have.
fn whole() -> Vec<Value> {
    let other = |id: u32, name: &str, kind: &str, concurrent: u32| {
        let mut step = result(id, name, concurrent);
        step["stepType"] = json!(kind);
        step.as_object_mut().unwrap().remove("out");
        step
    };
    let announced = |target: u32, name: &str, kind: &str| {
        let mut step = plan(target, name, 3);
        step["stepType"] = json!(kind);
        step
    };
    let mut sleep = other(4, "d", "SleepFor", 1);
    sleep["sleepFor"] = json!(60);
    vec![
        result(1, "a", 1),
        plan(2, "b", 2),
        plan(3, "c", 2),
        result(3, "c", 2),
        result(2, "b", 2),
        sleep,
        plan(5, "e", 3),
        announced(6, "f", "SleepFor"),
        announced(7, "g", "Wait"),
        other(6, "f", "SleepFor", 3),
        result(5, "e", 3),
        other(7, "g", "Wait", 3),
        result(8, "h", 1),
    ]
}

#[derive(Clone, Debug)]
enum Change {
    Remove(prop::sample::Index),
    Repeat(prop::sample::Index, prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
    Set(prop::sample::Index, &'static str, Value),
    Truncate(prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    let index = any::<prop::sample::Index>;
    let number =
        prop_oneof![(0..10_u32).prop_map(Value::from), any::<u32>().prop_map(Value::from), Just(Value::Null)];
    let name = prop::sample::select(vec!["a", "b", "c", "d", "e", "f", "g", "h", ""]).prop_map(Value::from);
    let kind =
        prop::sample::select(vec!["Run", "SleepFor", "Wait", "Call", "Teleport"]).prop_map(Value::from);
    let out = prop::sample::select(vec!["null", "\"x\"", "{", ""]).prop_map(Value::from);
    let field = prop_oneof![
        (Just("stepId"), number.clone()),
        (Just("targetStep"), number.clone()),
        (Just("concurrent"), number),
        (Just("stepName"), name),
        (Just("stepType"), kind),
        (Just("out"), out),
    ];
    prop_oneof![
        index().prop_map(Change::Remove),
        (index(), index()).prop_map(|(from, to)| Change::Repeat(from, to)),
        (index(), index()).prop_map(|(one, other)| Change::Swap(one, other)),
        (index(), field).prop_map(|(at, (field, value))| Change::Set(at, field, value)),
        index().prop_map(Change::Truncate),
    ]
}

fn changed(mut steps: Vec<Value>, changes: Vec<Change>) -> Vec<Value> {
    for change in changes {
        let count = steps.len();
        if count == 0 {
            break;
        }
        match change {
            Change::Remove(at) => drop(steps.remove(at.index(count))),
            Change::Repeat(from, to) => {
                let step = steps[from.index(count)].clone();
                steps.insert(to.index(count + 1), step);
            }
            Change::Swap(one, other) => steps.swap(one.index(count), other.index(count)),
            Change::Set(at, field, value) => steps[at.index(count)][field] = value,
            Change::Truncate(at) => steps.truncate(at.index(count)),
        }
    }
    steps
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_body_never_runs_for_a_step_that_the_history_records(
        length in 0..14_usize,
        changes in vec(change(), 0..5),
        message in prop::option::of(0..16_usize),
    ) {
        let mut steps = whole();
        steps.truncate(length);
        deliver(&log(&changed(steps, changes)), message);
    }
}

/// What is fuzzed in `fuzz/`, with a fixed budget and without coverage.
mod fuzzed {
    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in vec(any::<u8>(), 0..200)) {
            hostile::decode(&bytes);
        }

        #[test]
        fn any_bytes_are_answered(kind in any::<u8>(), length in 0..14_usize, at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut steps = whole();
            steps.truncate(length);
            let mut bytes = log(&steps);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes.insert(0, kind);
            hostile::decode(&bytes[1..]);
            with_target(async |target| hostile::deliver(target, &bytes).await);
        }
    }
}
