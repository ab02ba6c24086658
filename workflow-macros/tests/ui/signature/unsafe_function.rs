#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow]
async unsafe fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

fn main() {}
