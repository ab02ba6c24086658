#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow(timeout = 30)]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

fn main() {}
