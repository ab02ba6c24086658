#![allow(unused)]

use workflow::{WorkflowContext, workflow};

async fn charge() -> Result<u32, String> {
    Ok(7)
}

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    ctx.run("charge", async || charge().await).await?;
    Ok(())
}

fn main() {}
