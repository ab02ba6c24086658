#![allow(unused)]

use workflow::{Client, ClientError, Event};

#[derive(serde::Deserialize, serde::Serialize, Event)]
#[event(id = "order-paid-{order_id}")]
struct OrderPaid {
    order_id: u64,
}

async fn tell(client: Client) -> Result<(), ClientError> {
    client.notify(OrderPaid::id(7), &8).await?;
    Ok(())
}

fn main() {}
