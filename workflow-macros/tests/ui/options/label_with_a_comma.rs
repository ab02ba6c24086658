#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow(label = ["retail", "eu,de"])]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

fn main() {}
