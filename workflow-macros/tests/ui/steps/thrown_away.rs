#![deny(warnings)]
#![allow(dead_code)]

use workflow::{WorkflowContext, workflow};

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    let _ = ctx.run("charge", async || Ok(()));
    Ok(())
}

fn main() {}
