//! A workflow as an axum handler.

use std::{fmt, future::Future, marker::PhantomData, pin::Pin, sync::Arc};

use axum::{
    body::{Body, HttpBody},
    extract::{FromRequestParts, OriginalUri, Request},
    handler::Handler,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, Uri, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use workflow::{
    Workflow, endpoint,
    engine::{Delivery, EngineHandle},
};

/// The handler of a workflow. Mount it with `post`, as any handler:
///
/// ```
/// use axum::{Router, extract::State, routing::post};
/// use workflow::{WorkflowContext, workflow};
/// use workflow_axum::serve;
///
/// #[workflow]
/// async fn greet(ctx: WorkflowContext<String>, State(greeting): State<&'static str>) -> workflow::Result<String> {
///     Ok(format!("{greeting}, {}!", ctx.request_payload()))
/// }
///
/// let app: Router = Router::new().route("/greet", post(serve::<greet>())).with_state("Hello");
/// ```
///
/// The workflow's parameters after the context are extractors for the router's state. An extractor that rejects answers the
/// request itself; a delivery that is rejected counts as a failed attempt of the run.
///
/// A `POST` that does not come from an engine starts a run with its body as the payload, and is answered with the id of
/// the run.
pub fn serve<W>() -> WorkflowHandler<W> {
    WorkflowHandler(PhantomData)
}

/// A workflow as an axum [`Handler`]. Made by [`serve`].
pub struct WorkflowHandler<W>(PhantomData<fn() -> W>);

impl<W> Clone for WorkflowHandler<W> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<W> Copy for WorkflowHandler<W> {}

impl<W: Workflow> fmt::Debug for WorkflowHandler<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WorkflowHandler({})", W::NAME)
    }
}

/// Tells the implementation of [`Handler`] below from those of axum.
#[derive(Debug)]
#[doc(hidden)]
pub enum ByWorkflow {}

impl<W, S> Handler<ByWorkflow, S> for WorkflowHandler<W>
where
    W: 'static,
    S: StateFor<W>,
{
    type Future = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn call(self, request: Request, state: S) -> Self::Future {
        Box::pin(state.serve(request))
    }
}

/// A state with which `W` can be served: it is a workflow, and its parameters after the context are extractors for that state.
///
/// It stands between the handler and its bounds so that these are checked when the router's state is known. Only then does
/// the compiler name the parameter that is no extractor; else it would say that the whole is no handler.
#[doc(hidden)]
pub trait StateFor<W>: Send + Sync + 'static {
    fn serve(self, request: Request) -> impl Future<Output = Response> + Send;
}

impl<W, S> StateFor<W> for S
where
    W: Workflow,
    W::Args: FromRequestParts<S>,
    S: Send + Sync + 'static,
{
    async fn serve(self, request: Request) -> Response {
        let (mut parts, body) = request.into_parts();
        let args = match W::Args::from_request_parts(&mut parts, &self).await {
            Ok(args) => args,
            Err(rejection) => return rejection.into_response(),
        };
        let answer = match read(body).await {
            Ok(body) => endpoint::handle::<W>(translate(parts, body), args).await,
            Err(answer) => answer,
        };
        answer.map(Body::from)
    }
}

/// The whole body, as it came: signatures cover bytes. The limit is the core's, because a delivery carries the history of its
/// run, for which the limits of frameworks are too low.
pub(crate) async fn read(body: Body) -> Result<Bytes, http::Response<Bytes>> {
    if body.size_hint().lower() > endpoint::MAX_BODY_BYTES as u64 {
        return Err(endpoint::too_large());
    }
    match Limited::new(body, endpoint::MAX_BODY_BYTES).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(endpoint::too_large()),
        Err(error) => Err(endpoint::unreadable(&error)),
    }
}

pub(crate) fn translate(mut parts: Parts, body: Bytes) -> endpoint::Request {
    // A nested router sees a shortened URI.
    let OriginalUri(uri) = parts.extensions.remove().unwrap_or(OriginalUri(parts.uri));
    endpoint::Request {
        url: url(&uri, &parts.headers),
        body,
        engine: parts.extensions.remove::<EngineHandle>(),
        delivery: parts.extensions.remove::<Arc<Delivery>>(),
        headers: parts.headers,
    }
}

/// The URL that the caller used, as far as it can be known: the path alone where no host is named.
fn url(uri: &Uri, headers: &HeaderMap) -> String {
    if uri.authority().is_some() {
        return uri.to_string();
    }
    endpoint::url(uri.path_and_query().map_or("/", |path| path.as_str()), headers, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url_of(uri: &str, headers: &[(&'static str, &'static str)]) -> String {
        let headers = headers.iter().map(|(name, value)| {
            (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
        });
        url(&uri.parse().unwrap(), &headers.collect())
    }

    #[test]
    fn the_url_is_the_one_that_the_caller_used() {
        let host = ("host", "shop.example:8080");
        assert_eq!(url_of("/api/order?a=b", &[host]), "http://shop.example:8080/api/order?a=b");
        for proto in ["https", "HTTPS", "https, http"] {
            assert_eq!(url_of("/", &[host, ("x-forwarded-proto", proto)]), "https://shop.example:8080/");
        }
        for proto in ["http", "http,https", "gopher"] {
            assert_eq!(url_of("/", &[host, ("x-forwarded-proto", proto)]), "http://shop.example:8080/");
        }
        assert_eq!(url_of("https://other.example/api", &[host]), "https://other.example/api");
    }

    #[test]
    fn without_a_host_there_is_only_the_path() {
        assert_eq!(url_of("/api/order?a=b", &[("x-forwarded-proto", "https")]), "/api/order?a=b");
    }
}
