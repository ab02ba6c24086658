#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow(retry_delay = "pow(2, tries) * 1000")]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

fn main() {}
