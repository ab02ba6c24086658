#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow]
fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

fn main() {}
