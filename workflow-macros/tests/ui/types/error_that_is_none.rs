#![allow(unused)]

use workflow::{WorkflowContext, workflow};

struct Declined;

fn charge() -> Result<(), Declined> {
    Err(Declined)
}

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    charge()?;
    Ok(())
}

fn main() {}
