#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    ctx.run("outer", async || {
        let charged: u32 = ctx.run("inner", async || Ok(7)).await?;
        Ok(charged)
    })
    .await?;
    Ok(())
}

fn main() {}
