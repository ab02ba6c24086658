#![deny(warnings)]
#![allow(dead_code)]

use workflow::{Client, WorkflowContext, workflow};

#[workflow]
async fn order(_ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

async fn start(client: &Client) {
    client.trigger::<order>(&7);
}

fn main() {}
