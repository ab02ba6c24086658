#![deny(warnings)]
#![allow(dead_code, unused_variables, deprecated)]

use workflow::{WorkflowContext, workflow};

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    let prices = std::fs::read_to_string("prices.json")?;
    Ok(())
}

fn main() {}
