#![deny(warnings)]
#![allow(dead_code, unused_variables, deprecated)]

use workflow::{WorkflowContext, workflow};

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    tokio::spawn(async { 7 });
    Ok(())
}

fn main() {}
