#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow(flow_control(key = "shop"))]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

fn main() {}
