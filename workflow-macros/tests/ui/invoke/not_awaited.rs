#![deny(warnings)]
#![allow(dead_code)]

use workflow::{WorkflowContext, workflow};

#[workflow]
async fn charge_card(_ctx: WorkflowContext<u64>) -> workflow::Result<String> {
    Ok(String::new())
}

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    ctx.invoke::<charge_card>("charge", &7);
    Ok(())
}

fn main() {}
