#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow]
async fn order(payload: String) -> workflow::Result<()> {
    Ok(())
}

fn main() {}
