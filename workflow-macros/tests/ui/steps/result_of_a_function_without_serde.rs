#![allow(unused)]

use workflow::{WorkflowContext, workflow};

struct Receipt;

async fn charge() -> workflow::Result<Receipt> {
    Ok(Receipt)
}

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    let receipt = ctx.run("charge", async || charge().await).await?;
    Ok(())
}

fn main() {}
