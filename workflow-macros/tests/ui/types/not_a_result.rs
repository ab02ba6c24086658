#![allow(unused)]

use workflow::{WorkflowContext, workflow};

struct Receipt;

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> Receipt {
    Receipt
}

fn main() {}
