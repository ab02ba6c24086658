#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow(flow_control(key = "shop", rate = 10, period = "8d"))]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

fn main() {}
