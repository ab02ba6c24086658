//! No warnings where there is nothing to warn of: this file does not compile with any.

#![deny(warnings)]

use std::time::{Duration, SystemTime};

use workflow::{WorkflowContext, workflow};

mod my_clock {
    pub fn now() -> u64 {
        7
    }
}

mod game {
    pub struct Instant;

    impl Instant {
        pub fn now() -> Self {
            Self
        }
    }

    pub mod time {
        pub async fn sleep(_turns: u8) {}
    }
}

fn spawn(unit: &str) -> usize {
    unit.len()
}

macro_rules! pick {
    ($first:expr, $($rest:expr),*) => {
        $first
    };
}

/// What clocks and the like are for.
#[workflow]
async fn in_steps(ctx: WorkflowContext<u32>) -> workflow::Result<u64> {
    let now = ctx.run("now", async || Ok(SystemTime::now())).await?;
    let path = ctx.run("path", async move || Ok(std::env::var("PATH")?)).await?;
    let named = async || {
        tokio::time::sleep(Duration::ZERO).await;
        Ok(std::time::Instant::now().elapsed().as_secs())
    };
    let measured = ctx.step("measure").retries(1).run(named).await?;
    ctx.run("select", || async {
        tokio::select! {
            () = tokio::time::sleep(Duration::ZERO) => Ok(()),
        }
    })
    .await?;
    Ok(measured + path.len() as u64 + now.elapsed().map_or(0, |since| since.as_secs()))
}

/// Items of the user's own.
#[workflow]
async fn own_items(ctx: WorkflowContext<u32>) -> workflow::Result<u64> {
    use self::game::time;

    struct SystemTime;
    impl SystemTime {
        fn now() -> u64 {
            1
        }
    }
    let _turn = game::Instant::now();
    game::time::sleep(1).await;
    time::sleep(2).await;
    ctx.sleep("a while", Duration::ZERO).await?;
    Ok(my_clock::now() + SystemTime::now() + spawn("knight") as u64 + pick!(1, 2, 3))
}

/// As its option says.
#[workflow(allow(nondeterminism))]
async fn allowed(_ctx: WorkflowContext<()>) -> workflow::Result<bool> {
    tokio::time::sleep(Duration::ZERO).await;
    Ok(SystemTime::now() > SystemTime::UNIX_EPOCH)
}

/// Steps that are told apart, or of which a run comes to one.
#[workflow]
async fn names(ctx: WorkflowContext<Option<u64>>) -> workflow::Result<u64> {
    let Some(amount) = *ctx.request_payload() else {
        return ctx.run("charge", async || Ok(0)).await;
    };
    let charged = match amount {
        0 => ctx.run("charge", async || Ok(1)).await?,
        1..10 => {
            let charged = ctx.run("charge", async || Ok(2)).await?;
            ctx.run("thank", async || Ok(charged)).await?
        }
        _ => ctx.run("charge", async || Ok(3)).await?,
    };
    for _ in 0..amount {
        ctx.sleep("a while", Duration::ZERO).await?;
    }
    Ok(charged)
}

/// As its option says.
#[workflow(allow(repeated_step_name))]
async fn repeated(ctx: WorkflowContext<()>) -> workflow::Result<()> {
    ctx.sleep("a while", Duration::ZERO).await?;
    ctx.sleep("a while", Duration::ZERO).await
}

#[test]
fn the_workflows_above_compile_without_warnings() {
    let _ = (in_steps, own_items, allowed, names, repeated);
}
