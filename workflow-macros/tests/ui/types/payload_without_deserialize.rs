#![allow(unused)]

use workflow::{WorkflowContext, workflow};

struct Order;

#[workflow]
async fn order(ctx: WorkflowContext<Order>) -> workflow::Result<()> {
    Ok(())
}

fn main() {}
