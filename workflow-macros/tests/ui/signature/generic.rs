#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow]
async fn order<T: Send>(ctx: WorkflowContext<T>) -> workflow::Result<()> {
    Ok(())
}

fn main() {}
