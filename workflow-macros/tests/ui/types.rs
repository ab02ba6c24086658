#![allow(unused)]

use workflow::{WorkflowContext, workflow};

struct Plain;

#[workflow]
async fn first_parameter(payload: String) -> workflow::Result<()> {
    Ok(())
}

#[workflow]
async fn payload(ctx: WorkflowContext<Plain>) -> workflow::Result<()> {
    Ok(())
}

#[workflow]
async fn output(ctx: WorkflowContext<u32>) -> workflow::Result<Plain> {
    Ok(Plain)
}

#[workflow]
async fn return_type(ctx: WorkflowContext<u32>) -> u32 {
    7
}

fn main() {}
