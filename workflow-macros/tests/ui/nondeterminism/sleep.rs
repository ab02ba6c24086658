#![deny(warnings)]
#![allow(dead_code, unused_variables, deprecated)]

use std::time::Duration;

use workflow::{WorkflowContext, workflow};

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    tokio::time::sleep(Duration::from_secs(60)).await;
    Ok(())
}

fn main() {}
