#![allow(unused)]

use axum::Router;
use workflow::{WorkflowContext, workflow};
use workflow_axum::serve;

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

fn main() {
    let _: Router = Router::new().route("/order", serve::<order>());
}
