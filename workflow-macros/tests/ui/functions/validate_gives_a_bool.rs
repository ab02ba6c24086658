#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow(validate = check)]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

fn check(order: &u32) -> bool {
    *order > 0
}

fn main() {}
