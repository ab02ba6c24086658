#![deny(warnings)]
#![allow(dead_code, unused_variables, deprecated)]

use workflow::{Client, WorkflowContext, workflow};

#[workflow]
async fn child(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    let client = Client::from_env().unwrap();
    client.trigger::<child>(&7).await?;
    Ok(())
}

fn main() {}
