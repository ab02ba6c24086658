#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow(validate = check)]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

async fn check(order: &u32) -> Result<(), String> {
    Ok(())
}

fn main() {}
