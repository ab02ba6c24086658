#![allow(unused)]

use workflow::{Client, WorkflowContext, workflow};

#[derive(serde::Deserialize)]
struct Order;

#[workflow]
async fn order(ctx: WorkflowContext<Order>) -> workflow::Result<()> {
    Ok(())
}

async fn start(client: Client) -> Result<(), workflow::ClientError> {
    client.trigger::<order>(&Order).await?;
    Ok(())
}

fn main() {}
