#![deny(warnings)]
#![allow(dead_code)]

use workflow::{WorkflowContext, workflow};

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    ctx.notify("tell", "order-7", "shipped");
    Ok(())
}

fn main() {}
