#![allow(unused)]

use std::time::Duration;
use workflow::{Event, WorkflowContext};

#[derive(serde::Deserialize, serde::Serialize, Event)]
#[event(id = "order-paid-{order_id}")]
struct OrderPaid {
    order_id: u64,
}

#[derive(serde::Deserialize)]
struct Refund;

async fn wait(ctx: WorkflowContext<()>, day: Duration) -> workflow::Result<()> {
    let refund = ctx.wait_for_event::<Refund>("refund", OrderPaid::id(7), day).await?;
    Ok(())
}

fn main() {}
