#![allow(unused)]

use workflow::{WorkflowContext, workflow};

struct Receipt;

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    let receipt = ctx.step("charge").retries(5).run(async || Ok(Receipt)).await?;
    Ok(())
}

fn main() {}
