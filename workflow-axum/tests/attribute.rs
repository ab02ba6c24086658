//! `#[workflow]` works wherever a function does.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use axum::{Router, extract::State, routing::post};
use common::{Deeds, Test, deeds};
use http::StatusCode;
use workflow::{Workflow, WorkflowContext, workflow};
use workflow_axum::serve;

/// Everything that the written code could stumble over has another meaning here.
mod shadowed {
    #![allow(dead_code, non_camel_case_types)]

    mod core {}
    mod std {}
    mod workflow {}
    enum Option {}
    struct Box;
    struct String;
    struct Some;
    struct None;
    struct WorkflowContext;
    struct WorkflowOptions;
    const NONDETERMINISM: u8 = 0;
    trait Workflow {}
    trait WorkflowFn {}
    struct Result;
    struct Send;
    struct Future;
    struct str;
    struct ctx {}
    struct __arg_0 {}

    #[::workflow::workflow(name = "shadowed-order", retries = 1, retry_delay = "0", label = ["a", "b"])]
    pub async fn order(
        ctx: ::workflow::WorkflowContext<u32>,
        state: super::State<super::Deeds>,
    ) -> ::workflow::Result<u32> {
        state.tell(::std::format!("shadowed {}", ctx.request_payload()));
        Ok(1)
    }
}

extern crate workflow as durable;

/// As where `Cargo.toml` calls the crate so.
#[durable::workflow(crate = ::durable, retries = 1)]
async fn of_a_renamed_crate(
    ctx: durable::WorkflowContext<u32>,
    State(deeds): State<Deeds>,
) -> durable::Result<u32> {
    deeds.tell(format!("crate {}", ctx.request_payload()));
    Ok(4)
}

mod reexport {
    pub mod inner {
        pub use workflow as durable;
    }
}

#[workflow(crate = reexport::inner::durable)]
async fn renamed(ctx: WorkflowContext<u32>, State(deeds): State<Deeds>) -> workflow::Result<u32> {
    deeds.tell(format!("renamed {}", ctx.request_payload()));
    Ok(2)
}

type Context = WorkflowContext<u32>;
type Outcome<T> = Result<T, workflow::Error>;

#[workflow]
async fn aliased(ctx: Context, State(deeds): State<Deeds>) -> Outcome<u32> {
    let aliased = format!("aliased {}", ctx.request_payload());
    deeds.tell(aliased);
    Ok(3)
}

macro_rules! generated {
    ($name:ident, $ctx:ident => $body:expr) => {
        #[workflow]
        async fn $name($ctx: WorkflowContext<u32>, State(deeds): State<Deeds>) -> workflow::Result<()> {
            deeds.tell($body);
            Ok(())
        }
    };
}

generated!(r#move, context => format!("generated {}", context.request_payload()));

#[cfg(any())]
#[workflow]
async fn left_out(ctx: WorkflowContext<NoSuchType>) -> workflow::Result<()> {}

#[workflow]
#[cfg(any())]
async fn left_out(ctx: WorkflowContext<NoSuchType>) -> workflow::Result<()> {}

/// The public function of a private payload.
#[deprecated]
#[workflow]
pub async fn with_all_kinds_of_attributes(
    #[allow(unused_variables)] ctx: WorkflowContext<Private>,
    #[allow(unused_mut)] mut deeds: State<Deeds>,
) -> workflow::Result<()> {
    deeds.tell("attributes".to_owned());
    Ok(())
}

#[derive(serde::Deserialize)]
#[allow(missing_docs)]
pub struct Private {}

#[tokio::test]
#[allow(deprecated)]
async fn every_kind_of_workflow_runs() {
    let (tell, mut told) = deeds();
    let app = Router::new()
        .route("/shadowed", post(serve::<shadowed::order>()))
        .route("/renamed", post(serve::<renamed>()))
        .route("/crate", post(serve::<of_a_renamed_crate>()))
        .route("/aliased", post(serve::<aliased>()))
        .route("/generated", post(serve::<r#move>()))
        .route("/attributes", post(serve::<with_all_kinds_of_attributes>()))
        .with_state(tell);
    let test = Test::new(app);
    for path in ["shadowed", "renamed", "crate", "aliased", "generated"] {
        test.post(&format!("/{path}"), "7").await.expect(StatusCode::OK);
        assert_eq!(told.next().await, format!("{path} 7"));
    }
    test.post("/attributes", "{}").await.expect(StatusCode::OK);
    assert_eq!(told.next().await, "attributes");
}

#[test]
fn a_workflow_is_known_by_the_name_of_its_function() {
    assert_eq!(<shadowed::order as Workflow>::NAME, "shadowed-order");
    assert_eq!(<aliased as Workflow>::NAME, "aliased");
    assert_eq!(<r#move as Workflow>::NAME, "move");
    assert_eq!(format!("{:?}", serve::<renamed>()), "WorkflowHandler(renamed)");
}

/// The function is still one: it has a type of its own, which other code can name, pass on and shadow.
#[test]
fn the_function_stays_a_function() {
    fn takes_one<F, R>(_: F)
    where
        F: Fn(WorkflowContext<u32>, State<Deeds>) -> R,
        R: Future<Output = workflow::Result<u32>> + Send,
    {
    }
    takes_one(aliased);
    let renamed = renamed;
    takes_one(renamed);
    takes_one(shadowed::order);
}
