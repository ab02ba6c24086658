#![allow(unused)]

use workflow::{WorkflowContext, workflow};

struct Declined;

fn charge() -> Result<(), Declined> {
    Err(Declined)
}

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    ctx.run("charge", async || Ok(charge()?)).await
}

fn main() {}
