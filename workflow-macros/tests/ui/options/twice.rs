#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow(retries = 3, label = "retail", retries = 5)]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

fn main() {}
