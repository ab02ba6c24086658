#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow(flow_control(parallelism = 3))]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

fn main() {}
