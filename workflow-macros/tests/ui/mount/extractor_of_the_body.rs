#![allow(unused)]

use axum::{Json, Router, routing::post};
use workflow::{WorkflowContext, workflow};
use workflow_axum::serve;

#[workflow]
async fn order(ctx: WorkflowContext<u32>, Json(order): Json<u32>) -> workflow::Result<()> {
    Ok(())
}

fn main() {
    let _: Router = Router::new().route("/order", post(serve::<order>()));
}
