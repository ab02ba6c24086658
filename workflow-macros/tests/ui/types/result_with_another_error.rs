#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> Result<(), std::io::Error> {
    Ok(())
}

fn main() {}
