#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow(crate = "workflow")]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

fn main() {}
