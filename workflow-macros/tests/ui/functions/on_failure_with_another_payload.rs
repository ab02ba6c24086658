#![allow(unused)]

use workflow::{FailedRun, WorkflowContext, workflow};

#[workflow(on_failure = support::tell)]
async fn order(ctx: WorkflowContext<u32>) -> workflow::Result<()> {
    Ok(())
}

mod support {
    use workflow::FailedRun;

    pub async fn tell(failed: FailedRun<String>) -> workflow::Result<()> {
        Ok(())
    }
}

fn main() {}
