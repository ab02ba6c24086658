#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow]
async fn order(ctx: WorkflowContext<&'static str>) -> workflow::Result<()> {
    Ok(())
}

fn main() {}
