#![allow(unused)]

use axum::{Router, routing::post};
use workflow_axum::serve;

struct Order;

fn main() {
    let _: Router = Router::new().route("/order", post(serve::<Order>()));
}
