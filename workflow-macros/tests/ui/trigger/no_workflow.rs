#![allow(unused)]

use workflow::Client;

struct Order;

async fn start(client: Client) -> Result<(), workflow::ClientError> {
    client.trigger::<Order>(&7).await?;
    Ok(())
}

fn main() {}
