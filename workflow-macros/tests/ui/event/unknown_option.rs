#![allow(unused)]

use workflow::Event;

#[derive(serde::Deserialize, serde::Serialize, Event)]
#[event(name = "order-paid")]
struct OrderPaid {
    order_id: u64,
}

fn main() {}
