#![deny(warnings)]
#![allow(dead_code, unused_variables, deprecated)]

use std::time::Duration;

use workflow::{WorkflowContext, workflow};

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    let charged = tokio::time::timeout(Duration::from_secs(60), ctx.run("charge", async || Ok(7))).await??;
    Ok(())
}

fn main() {}
