#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow(retry_delay = 1000)]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

fn main() {}
