//! Events with a type: their ids, and how they are waited for and notified of.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod support;

use std::{collections::HashMap, fmt::Display, time::Duration};

use proptest::{collection::vec, prelude::*, sample::select};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;
use support::Recorder;
use workflow::{Event, EventId, WaitResult, WorkflowContext, engine::Mode, workflow};

const DAY: Duration = Duration::from_secs(86_400);

#[derive(Debug, PartialEq, Deserialize, Serialize, Event)]
#[event(id = "order-paid-{order_id}")]
struct OrderPaid {
    order_id: u64,
    cents: u64,
}

#[derive(Deserialize, Serialize, Event)]
#[event(id = "note-{text}")]
struct Note {
    text: String,
}

#[derive(Deserialize, Serialize, Event)]
#[event(id = "shop/{city}-{street}/open")]
struct ShopOpen {
    city: String,
    street: String,
}

/// Separators of several characters, also of letters, digits and such as are in escapes.
#[derive(Deserialize, Serialize, Event)]
#[event(id = "x{type}2-a{b}%→7{c}x")]
struct Odd {
    r#type: String,
    b: String,
    c: String,
}

#[derive(Deserialize, Serialize, Event)]
#[event(id = "{{closed}}")]
enum Closed {
    Early,
    Late,
}

#[derive(Deserialize, Serialize, Event)]
#[event(id = "made-{0}: {1}")]
#[serde(bound = "T: Serialize + DeserializeOwned")]
struct Made<T: Display + Serialize + DeserializeOwned + 'static>(T, u8);

#[test]
fn an_id_is_made_of_fields() {
    let paid = OrderPaid { order_id: 7, cents: 1 };
    assert_eq!(paid.event_id().as_str(), "order-paid-7");
    assert_eq!(OrderPaid::id(7), paid.event_id());
    let borrowed = &paid.order_id;
    assert_eq!(OrderPaid::id(borrowed), paid.event_id());
    assert_eq!(Closed::id().to_string(), "{closed}");
    assert_eq!(Closed::Early.event_id(), Closed::Late.event_id());
    assert_eq!(Made("tea".to_owned(), 3).event_id().as_str(), "made-tea: 3");
    assert_eq!(Made::<char>::id('x', 3).as_str(), "made-x: 3");
}

#[test]
fn text_is_given_as_it_is_at_hand() {
    let text = "a".to_owned();
    let ids = [Note::id("a"), Note::id(&text), Note::id(text.clone()), Note { text }.event_id()];
    assert!(ids.iter().all(|id| id.as_str() == "note-a"), "{ids:?}");
}

#[test]
fn a_single_field_stands_in_the_id_as_it_is() {
    assert_eq!(Note::id("50 % - {}/é").as_str(), "note-50 % - {}/é");
}

#[test]
fn what_could_be_a_separator_is_escaped() {
    assert_eq!(ShopOpen::id("new-york", "5/6 %").as_str(), "shop/new%2Dyork-5/6 %25/open");
    assert_eq!(Odd::id("→", "2-a", "x").as_str(), "x%E2%86%922-a2%2Da%→7xx");
}

/// Characters that are in the templates, and such as escapes are made of.
const ALPHABET: [char; 9] = ['-', '→', '%', '2', 'D', '7', 'a', 'x', '/'];

#[test]
fn of_all_short_values_no_two_make_the_same_id() {
    let mut values = vec![String::new()];
    for _ in 0..2 {
        let longer = values.iter().flat_map(|value| ALPHABET.map(|next| format!("{value}{next}")));
        values.extend(longer.collect::<Vec<_>>());
    }
    values.sort();
    values.dedup();
    assert_eq!(values.len(), 1 + 9 + 81);
    let mut seen = HashMap::new();
    for city in &values {
        for street in &values {
            let before = seen.insert(ShopOpen::id(city, street), (city, street));
            assert_eq!(before, None, "and {city:?}, {street:?}");
        }
    }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![vec(select(&ALPHABET), 0..6).prop_map(String::from_iter), any::<String>()]
}

proptest! {
    #[test]
    fn different_values_make_different_ids(
        one in (text(), text(), text()),
        other in (text(), text(), text()),
        cut in 0..6_usize,
    ) {
        let id = |(a, b, c): &(String, String, String)| Odd::id(a, b, c);
        prop_assert_eq!(id(&one) == id(&other), one == other);

        // The same characters, cut into fields elsewhere.
        let joined: Vec<char> = format!("{}2-a{}", one.0, one.1).chars().collect();
        let (a, b) = joined.split_at(cut.min(joined.len()));
        let moved = (a.iter().collect(), b.iter().collect(), one.2.clone());
        prop_assert_eq!(id(&one) == id(&moved), one == moved);
    }

    #[test]
    fn numbers_of_all_sizes_make_different_ids(one: (u64, u8), other: (u64, u8)) {
        let id = |(a, b): (u64, u8)| Made::<u64>::id(a, b);
        prop_assert_eq!(id(one) == id(other), one == other);
    }
}

#[tokio::test]
async fn a_wait_for_a_typed_id_gives_data_of_that_type() {
    #[workflow]
    async fn sell(ctx: WorkflowContext<u64>) -> workflow::Result<Option<u64>> {
        let paid = ctx.wait_for_event("payment", OrderPaid::id(ctx.request_payload()), DAY).await?;
        Ok(match paid {
            WaitResult::Received(paid) => Some(paid.cents),
            WaitResult::TimedOut => None,
        })
    }

    let engine = Recorder::new(Mode::Continue);
    engine.deliver::<sell>("7").await;
    assert_eq!(engine.reports(), ["wait 1 payment for order-paid-7 park"]);
    engine.resolve_wait(1, "payment", 1, Some(r#"{"order_id":7,"cents":995}"#));
    engine.deliver::<sell>("7").await;
    assert_eq!(engine.output(), Some(json!(995)));
}

#[tokio::test]
async fn a_typed_notification_names_its_event() {
    #[workflow]
    async fn pay(ctx: WorkflowContext<()>) -> workflow::Result<Vec<String>> {
        let paid = OrderPaid { order_id: 7, cents: 995 };
        let (all, one) = tokio::try_join!(
            ctx.notify_event("tell all", &paid),
            ctx.notify_event("tell one", &paid).run_id("wfr_2"),
        )?;
        assert_eq!(all.event_id, "order-paid-7");
        Ok(all.runs().chain(one.runs()).map(str::to_owned).collect())
    }

    let engine = Recorder::new(Mode::Continue);
    engine.deliver::<pay>("").await;
    assert_eq!(engine.output(), Some(json!(["wfr_waiter", "wfr_2"])));
    let out = engine.history()[0].out.clone().unwrap();
    assert!(out.contains(r#""eventData":{"cents":995,"order_id":7}"#), "{out}");
}

#[test]
fn ids_are_values() {
    fn is_value<T: Clone + Eq + std::hash::Hash + Send + Sync + 'static>(_: &T) {}
    let id: EventId<OrderPaid> = OrderPaid::id(7);
    is_value(&id);
    assert_eq!(format!("{id} {id:?}"), "order-paid-7 EventId(\"order-paid-7\")");
}
