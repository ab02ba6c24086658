#![allow(unused)]

use workflow::{WorkflowContext, workflow};

struct Paid;

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    ctx.notify("tell", "paid-7", &Paid).await?;
    Ok(())
}

fn main() {}
