#![allow(unused)]

use std::time::Duration;
use workflow::WorkflowContext;

async fn wait(ctx: WorkflowContext<()>, day: Duration) -> workflow::Result<()> {
    let paid = ctx.wait_for_event::<u64>("payment", 7, day).await?;
    Ok(())
}

fn main() {}
