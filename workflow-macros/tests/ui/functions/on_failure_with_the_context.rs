#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow(on_failure = tell)]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

async fn tell(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

fn main() {}
