#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow(flow_control(key = "shop", parallelism = 0))]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

fn main() {}
