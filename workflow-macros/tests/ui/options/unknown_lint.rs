#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow(allow(deprecated))]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

fn main() {}
