#![allow(unused)]

use axum::{Router, extract::State, routing::post};
use workflow::{WorkflowContext, workflow};
use workflow_axum::serve;

#[derive(Clone)]
struct Shop;

#[workflow]
async fn order(ctx: WorkflowContext<u32>, State(shop): State<Shop>) -> workflow::Result<()> {
    Ok(())
}

fn main() {
    let _: Router = Router::new().route("/order", post(serve::<order>()));
}
