#![deny(warnings)]
#![allow(dead_code, deprecated)]

use workflow::{WorkflowContext, workflow};

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    ctx.run("charge", async || Ok(())).await?;
    ctx.run("charge", async || Ok(())).await?;
    Ok(())
}

fn main() {}
