#![allow(unused)]

use workflow::Event;

#[derive(serde::Deserialize, serde::Serialize, Event)]
#[event(id = "order-paid-{order_id}")]
struct OrderPaid {
    order_id: u64,
}

fn main() {
    let id = OrderPaid::id("seven");
}
