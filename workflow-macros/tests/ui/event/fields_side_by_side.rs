#![allow(unused)]

use workflow::Event;

#[derive(serde::Deserialize, serde::Serialize, Event)]
#[event(id = "{shop}{order_id}")]
struct OrderPaid {
    shop: String,
    order_id: u64,
}

fn main() {}
