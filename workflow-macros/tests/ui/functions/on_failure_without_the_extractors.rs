#![allow(unused)]

use axum::extract::State;
use workflow::{FailedRun, WorkflowContext, workflow};

#[workflow(on_failure = tell)]
async fn order(ctx: WorkflowContext<u32>, State(shop): State<String>) -> workflow::Result<()> {
    Ok(())
}

async fn tell(failed: FailedRun<u32>) -> workflow::Result<()> {
    Ok(())
}

fn main() {}
