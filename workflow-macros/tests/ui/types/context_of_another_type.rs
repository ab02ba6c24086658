#![allow(unused)]

use workflow::{WorkflowContext, workflow};

struct Context;

#[workflow]
async fn order(ctx: Context) -> workflow::Result<()> {
    Ok(())
}

fn main() {}
