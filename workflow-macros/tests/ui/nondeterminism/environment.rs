#![deny(warnings)]
#![allow(dead_code, unused_variables, deprecated)]

use workflow::{WorkflowContext, workflow};

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    let url = std::env::var("SHOP_URL")?;
    Ok(())
}

fn main() {}
