#![allow(unused)]

use workflow::Event;

#[derive(serde::Deserialize, serde::Serialize)]
struct OrderId(u64);

#[derive(serde::Deserialize, serde::Serialize, Event)]
#[event(id = "order-paid-{order_id}")]
struct OrderPaid {
    order_id: OrderId,
    cents: u64,
}

fn main() {}
