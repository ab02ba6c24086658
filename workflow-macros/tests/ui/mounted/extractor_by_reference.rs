#![allow(unused)]

use axum::{Router, routing::post};
use workflow::{WorkflowContext, workflow};
use workflow_axum::serve;

struct Shop;

#[workflow]
async fn order(ctx: WorkflowContext<u32>, shop: &Shop) -> workflow::Result<()> {
    Ok(())
}

fn main() {
    let _: Router = Router::new().route("/order", post(serve::<order>()));
}
