#![allow(unused)]

use workflow::{WorkflowContext, workflow};

struct Unreadable;

#[workflow(parse = read)]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

fn read(body: &[u8]) -> Result<u32, Unreadable> {
    Err(Unreadable)
}

fn main() {}
