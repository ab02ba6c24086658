#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow(validate = check)]
async fn order(ctx: WorkflowContext<String>) -> workflow::Result<()> {
    Ok(())
}

fn check(order: String) -> Result<(), String> {
    Ok(())
}

fn main() {}
