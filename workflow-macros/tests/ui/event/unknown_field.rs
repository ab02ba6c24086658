#![allow(unused)]

use workflow::{Client, Event};

#[derive(serde::Deserialize, serde::Serialize, Event)]
#[event(id = "order-paid-{ordr_id}")]
struct OrderPaid {
    order_id: u64,
    cents: u64,
}

fn main() {
    let id = OrderPaid::id(7);
}
