#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow]
async fn order() -> workflow::Result<()> {
    Ok(())
}

fn main() {}
