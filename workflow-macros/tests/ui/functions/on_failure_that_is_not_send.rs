#![allow(unused)]

use std::rc::Rc;
use workflow::{FailedRun, WorkflowContext, workflow};

#[workflow(on_failure = tell)]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

async fn tell(failed: FailedRun<u32>) -> workflow::Result<()> {
    let shared = Rc::new(7);
    send(*shared).await;
    drop(shared);
    Ok(())
}

async fn send(number: u32) {}

fn main() {}
