#![allow(unused)]

use axum::{Router, routing::post};
use workflow::{WorkflowContext, workflow};
use workflow_axum::serve;

#[workflow]
fn not_async(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

#[workflow]
async fn by_reference(ctx: &WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

#[workflow]
async fn no_result(ctx: WorkflowContext<u32>) {}

#[workflow(retries = 3)]
async fn unknown_option(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

fn main() {
    let _: Router = Router::new()
        .route("/1", post(serve::<not_async>()))
        .route("/2", post(serve::<by_reference>()))
        .route("/3", post(serve::<no_result>()))
        .route("/4", post(serve::<unknown_option>()));
}
