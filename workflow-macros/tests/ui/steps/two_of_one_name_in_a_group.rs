#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    let (a, b) = tokio::join!(
        ctx.run("charge", async || Ok(1)),
        ctx.run("charge", async || Ok(2)),
    );
    (a?, b?);
    Ok(())
}

fn main() {}
