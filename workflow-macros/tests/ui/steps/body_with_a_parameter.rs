#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    ctx.run("charge", async |order: u32| Ok(order)).await?;
    Ok(())
}

fn main() {}
