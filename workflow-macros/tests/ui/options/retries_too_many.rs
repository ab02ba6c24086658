#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow(retries = 5_000_000_000)]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

fn main() {}
