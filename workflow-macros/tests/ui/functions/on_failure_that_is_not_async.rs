#![allow(unused)]

use workflow::{FailedRun, WorkflowContext, workflow};

#[workflow(on_failure = tell)]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

fn tell(failed: FailedRun<u32>) -> workflow::Result<()> {
    Ok(())
}

fn main() {}
