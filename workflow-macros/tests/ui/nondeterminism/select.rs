#![deny(warnings)]
#![allow(dead_code, unused_variables, deprecated)]

use workflow::{WorkflowContext, workflow};

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    tokio::select! {
        charged = ctx.run("charge", async || Ok(1)) => charged?,
        declined = ctx.run("decline", async || Ok(2)) => declined?,
    };
    Ok(())
}

fn main() {}
