#![allow(unused)]

use workflow::Event;

#[derive(serde::Deserialize, serde::Serialize, Event)]
struct OrderPaid {
    order_id: u64,
}

fn main() {}
