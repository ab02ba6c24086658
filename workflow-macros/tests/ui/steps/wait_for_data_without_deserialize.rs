#![allow(unused)]

use std::time::Duration;
use workflow::{WorkflowContext, workflow};

struct Paid;

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    ctx.wait_for_event::<Paid>("payment", "paid-7", Duration::from_secs(60)).await?;
    Ok(())
}

fn main() {}
