#![allow(unused, private_interfaces)]

mod workflows {
    use serde::Deserialize;
    use workflow::{WorkflowContext, workflow};

    #[derive(Deserialize)]
    struct Order;

    #[workflow]
    pub async fn order(ctx: WorkflowContext<Order>) -> workflow::Result<()> {
        Ok(())
    }
}

fn main() {}
