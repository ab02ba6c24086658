#![allow(unused)]

use workflow::{Client, ClientError};

struct Paid;

async fn tell(client: &Client) -> Result<(), ClientError> {
    client.notify("paid-7", &Paid).await?;
    Ok(())
}

fn main() {}
