//! Several workflows as one axum handler.

use std::{future::Future, marker::PhantomData, pin::Pin};

use axum::{
    body::Body,
    extract::{OriginalUri, Request},
    handler::Handler,
    response::Response,
};
use workflow::{Workflow, endpoint};

use crate::serve::{ByWorkflow, StateFor};

/// The handler of several workflows, given as a tuple of up to 16. Mount it at a path whose last segment is the name of the
/// workflow, with dashes instead of underscores:
///
/// ```
/// use axum::{Router, routing::post};
/// use workflow::{WorkflowContext, workflow};
/// use workflow_axum::serve_many;
///
/// #[workflow]
/// async fn process_order(ctx: WorkflowContext<u64>) -> workflow::Result<String> {
///     let charged = ctx.invoke::<charge_card>("charge", ctx.request_payload()).await?;
///     Ok(charged.completed().unwrap_or_default())
/// }
///
/// #[workflow]
/// async fn charge_card(ctx: WorkflowContext<u64>) -> workflow::Result<String> {
///     Ok(format!("charged {}", ctx.request_payload()))
/// }
///
/// let app: Router = Router::new().route("/api/{workflow}", post(serve_many::<(process_order, charge_card)>()));
/// ```
///
/// These are `/api/process-order` and `/api/charge-card`. A path that names none of them is answered with 404.
pub fn serve_many<Ws>() -> WorkflowsHandler<Ws> {
    WorkflowsHandler(PhantomData)
}

/// Several workflows as an axum [`Handler`]. Made by [`serve_many`].
pub struct WorkflowsHandler<Ws>(PhantomData<fn() -> Ws>);

impl<Ws> Clone for WorkflowsHandler<Ws> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<Ws> Copy for WorkflowsHandler<Ws> {}

impl<Ws> std::fmt::Debug for WorkflowsHandler<Ws> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WorkflowsHandler")
    }
}

impl<Ws, S> Handler<ByWorkflow, S> for WorkflowsHandler<Ws>
where
    Ws: 'static,
    S: StateForAll<Ws>,
{
    type Future = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn call(self, request: Request, state: S) -> Self::Future {
        Box::pin(state.serve_one_of(request))
    }
}

/// A state with which each workflow of the tuple `Ws` can be served.
#[doc(hidden)]
pub trait StateForAll<Ws>: Send + Sync + 'static {
    fn serve_one_of(self, request: Request) -> impl Future<Output = Response> + Send;
}

/// The path as the caller used it; a nested router sees a shortened one.
fn path(request: &Request) -> &str {
    let original = request.extensions().get::<OriginalUri>();
    original.map_or_else(|| request.uri().path(), |uri| uri.path())
}

macro_rules! tuples {
    () => {};
    ($first:ident $($rest:ident)*) => {
        impl<S, $first, $($rest),*> StateForAll<($first, $($rest,)*)> for S
        where
            $first: Workflow,
            $($rest: Workflow,)*
            S: StateFor<$first> $(+ StateFor<$rest>)*,
        {
            async fn serve_one_of(self, request: Request) -> Response {
                if endpoint::is_at::<$first>(path(&request)) {
                    return StateFor::<$first>::serve(self, request).await;
                }
                $(if endpoint::is_at::<$rest>(path(&request)) {
                    return StateFor::<$rest>::serve(self, request).await;
                })*
                let names = [$first::NAME, $($rest::NAME),*];
                endpoint::unknown_workflow(path(&request), &names).map(Body::from)
            }
        }
        tuples!($($rest)*);
    };
}

tuples!(A B C D E F G H I J K L M N O P);
