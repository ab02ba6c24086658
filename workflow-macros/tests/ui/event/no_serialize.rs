#![allow(unused)]

use workflow::Event;

#[derive(serde::Deserialize, Event)]
#[event(id = "order-paid-{order_id}")]
struct OrderPaid {
    order_id: u64,
}

fn main() {}
