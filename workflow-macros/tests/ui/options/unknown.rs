#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow(time_limit = "10s")]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

fn main() {}
