#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow]
async fn order(ctx: WorkflowContext<u32>, shop) -> workflow::Result<()> {
    Ok(())
}

fn main() {}
