#![allow(unused)]

use axum::{Router, routing::post};
use workflow::{WorkflowContext, workflow};
use workflow_axum::serve;

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    let shared = std::rc::Rc::new(7);
    ctx.run("charge", async || Ok(7)).await?;
    drop(shared);
    Ok(())
}

fn main() {
    let _: Router = Router::new().route("/order", post(serve::<order>()));
}
