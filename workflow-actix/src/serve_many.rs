//! Several workflows as one actix-web route.

use std::future::Future;

use actix_web::{Error, HttpRequest, HttpResponse, Route, web};
use workflow::{Workflow, endpoint};

use crate::{
    serve::{Extractors, answer},
    translate,
};

/// The route of several workflows, given as a tuple of up to 16, for `POST`. Mount it at a path whose last segment is the name
/// of the workflow, with dashes instead of underscores:
///
/// ```
/// use actix_web::App;
/// use workflow::{WorkflowContext, workflow};
/// use workflow_actix::serve_many;
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
/// let app = App::new().route("/api/{workflow}", serve_many::<(process_order, charge_card)>());
/// ```
///
/// These are `/api/process-order` and `/api/charge-card`. A path that names none of them is answered with 404.
pub fn serve_many<Ws: Workflows>() -> Route {
    web::post().to(Ws::answer_one_of)
}

/// A tuple of workflows whose parameters after the context are all extractors.
#[doc(hidden)]
pub trait Workflows: 'static {
    fn answer_one_of(
        request: HttpRequest,
        body: web::Payload,
    ) -> impl Future<Output = Result<HttpResponse, Error>> + 'static;
}

macro_rules! tuples {
    () => {};
    ($first:ident $($rest:ident)*) => {
        impl<$first, $($rest),*> Workflows for ($first, $($rest,)*)
        where
            $first: Workflow<Args: Extractors>,
            $($rest: Workflow<Args: Extractors>,)*
        {
            async fn answer_one_of(request: HttpRequest, body: web::Payload) -> Result<HttpResponse, Error> {
                if endpoint::is_at::<$first>(request.path()) {
                    return answer::<$first>(request, body).await;
                }
                $(if endpoint::is_at::<$rest>(request.path()) {
                    return answer::<$rest>(request, body).await;
                })*
                let names = [$first::NAME, $($rest::NAME),*];
                Ok(translate::to_actix(endpoint::unknown_workflow(request.path(), &names)))
            }
        }
        tuples!($($rest)*);
    };
}

tuples!(A B C D E F G H I J K L M N O P);
