#![allow(unused)]

use workflow::{WorkflowContext, workflow};

struct Receipt;

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    let receipt = ctx.try_run("charge", async || Ok(Receipt)).await;
    Ok(())
}

fn main() {}
