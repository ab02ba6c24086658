#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow(parse = read)]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

fn read(body: &str) -> Result<u32, String> {
    Ok(7)
}

fn main() {}
