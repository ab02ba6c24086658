#![allow(unused)]

use workflow::{FailedRun, WorkflowContext, workflow};

struct Ticket;

#[workflow(on_failure = tell)]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

async fn tell(failed: FailedRun<u32>) -> workflow::Result<Ticket> {
    Ok(Ticket)
}

fn main() {}
