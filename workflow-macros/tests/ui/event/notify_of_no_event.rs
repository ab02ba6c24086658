#![allow(unused)]

use workflow::{Client, ClientError};

#[derive(serde::Serialize)]
struct Order;

async fn tell(client: Client) -> Result<(), ClientError> {
    client.notify_event(&Order).await?;
    Ok(())
}

fn main() {}
