#![allow(unused)]

use workflow::{WorkflowContext, workflow};

struct Receipt;

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<Receipt> {
    Ok(Receipt)
}

fn main() {}
