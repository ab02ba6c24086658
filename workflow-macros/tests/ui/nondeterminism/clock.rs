#![deny(warnings)]
#![allow(dead_code, unused_variables, deprecated)]

use std::time::SystemTime;

use workflow::{WorkflowContext, workflow};

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    let now = SystemTime::now();
    Ok(())
}

fn main() {}
