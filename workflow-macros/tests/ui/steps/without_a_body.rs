#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    ctx.step("charge").retries(5).await?;
    Ok(())
}

fn main() {}
