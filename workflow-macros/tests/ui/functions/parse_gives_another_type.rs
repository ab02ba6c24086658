#![allow(unused)]

use workflow::{WorkflowContext, workflow};

#[workflow(parse = read)]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

fn read(body: &[u8]) -> Result<String, String> {
    Ok("7".to_owned())
}

fn main() {}
