#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow(name = "api/order")]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

fn main() {}
