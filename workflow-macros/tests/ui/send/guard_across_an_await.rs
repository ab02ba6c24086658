#![allow(unused)]

use std::sync::Mutex;

use workflow::{WorkflowContext, workflow};

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    let orders = Mutex::new(1);
    let guard = orders.lock().map_err(|_| workflow::Error::msg("poisoned"))?;
    ctx.run("count", async || Ok(())).await?;
    Ok(())
}

fn main() {}
