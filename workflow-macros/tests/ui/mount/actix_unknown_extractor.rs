#![allow(unused)]

use actix_web::App;
use workflow::{WorkflowContext, workflow};
use workflow_actix::serve;

struct Shop;

#[workflow]
async fn order(ctx: WorkflowContext<u32>, shop: Shop) -> workflow::Result<()> {
    Ok(())
}

fn main() {
    let _ = App::new().route("/order", serve::<order>());
}
