#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow(parse = |body| serde_json::from_slice(body))]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

fn main() {}
