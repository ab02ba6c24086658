#![allow(unused)]

use workflow::{WorkflowContext, workflow};

struct Shop;

impl Shop {
    #[workflow]
    async fn order(&self, ctx: WorkflowContext<u32>) -> workflow::Result<()> {
        Ok(())
    }
}

fn main() {}
