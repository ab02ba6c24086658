#![allow(unused)]

use std::rc::Rc;

use workflow::{WorkflowContext, workflow};

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    let count = Rc::new(1);
    ctx.run("count", async || Ok(())).await?;
    drop(count);
    Ok(())
}

fn main() {}
