#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow]
async fn order(ctx: WorkflowContext<u32>, headers: &axum::http::HeaderMap) -> workflow::Result<()> {
    Ok(())
}

fn main() {}
