#![allow(unused)]

use workflow::{WorkflowContext, workflow};

struct Order;

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    ctx.invoke::<Order>("charge", &7).await?;
    Ok(())
}

fn main() {}
