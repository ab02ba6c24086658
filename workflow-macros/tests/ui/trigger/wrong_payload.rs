#![allow(unused)]

use workflow::{Client, WorkflowContext, workflow};

#[workflow]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

async fn start(client: Client) -> Result<(), workflow::ClientError> {
    client.trigger::<order>("seven").await?;
    Ok(())
}

fn main() {}
