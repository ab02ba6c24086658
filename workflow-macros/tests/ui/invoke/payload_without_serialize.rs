#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[derive(serde::Deserialize)]
struct Order;

#[workflow]
async fn charge_card(ctx: WorkflowContext<Order>) -> workflow::Result<String> {
    Ok(String::new())
}

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    ctx.invoke::<charge_card>("charge", &Order).await?;
    Ok(())
}

fn main() {}
