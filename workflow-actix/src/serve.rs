//! A workflow as an actix-web route.

use std::sync::Arc;

use actix_web::{
    Error, FromRequest, HttpMessage, HttpRequest, HttpResponse, Route, dev::Payload,
    http::header::CONTENT_LENGTH, web,
};
use bytes::Bytes;
use workflow::{
    Workflow, endpoint,
    engine::{Delivery, EngineHandle},
};

use crate::{rejection, translate};

/// The route of a workflow, for `POST`. Mount it as any route:
///
/// ```
/// use actix_web::{App, web};
/// use workflow::{WorkflowContext, workflow};
/// use workflow_actix::serve;
///
/// #[workflow]
/// async fn greet(ctx: WorkflowContext<String>, greeting: web::Data<String>) -> workflow::Result<String> {
///     Ok(format!("{}, {}!", greeting.as_str(), ctx.request_payload()))
/// }
///
/// let app = App::new()
///     .app_data(web::Data::new("Hello".to_owned()))
///     .route("/greet", serve::<greet>())
///     .service(web::scope("/api").configure(|scope| {
///         scope.route("/greet", serve::<greet>());
///     }));
/// ```
///
/// The workflow's parameters after the context are extractors. They see no body: it is the payload of the run, which the
/// context gives. An extractor that rejects answers the request itself; a delivery that is rejected counts as a failed attempt
/// of the run.
///
/// A `POST` that does not come from an engine starts a run with its body as the payload, and is answered with the id of
/// the run. The limits of actix-web on bodies do not apply, but that of the core does.
pub fn serve<W>() -> Route
where
    W: Workflow,
    W::Args: FromRequest + 'static,
{
    web::post().to(answer::<W>)
}

pub(crate) async fn answer<W>(request: HttpRequest, body: web::Payload) -> Result<HttpResponse, Error>
where
    W: Workflow,
    W::Args: FromRequest + 'static,
{
    let args = match W::Args::from_request(&request, &mut Payload::None).await {
        Ok(args) => args,
        Err(error) => return rejection::answer::<W>(error.into()),
    };
    let answer = match read(&request, body).await {
        Ok(body) => endpoint::handle::<W>(core_request(&request, body), args).await,
        Err(answer) => answer,
    };
    Ok(translate::to_actix(answer))
}

/// The whole body, as it came: signatures cover bytes. The limit is the core's, because a delivery carries the history of its
/// run, for which the limits of frameworks are too low.
pub(crate) async fn read(request: &HttpRequest, body: web::Payload) -> Result<Bytes, http::Response<Bytes>> {
    let declared =
        request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if declared.is_some_and(|length: u64| length > endpoint::MAX_BODY_BYTES as u64) {
        return Err(endpoint::too_large());
    }
    match body.to_bytes_limited(endpoint::MAX_BODY_BYTES).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) => Err(endpoint::unreadable(&error)),
        Err(_) => Err(endpoint::too_large()),
    }
}

pub(crate) fn core_request(request: &HttpRequest, body: Bytes) -> endpoint::Request {
    let headers = translate::headers(request.headers());
    endpoint::Request {
        url: translate::url(request.uri(), &headers, request.app_config().secure()),
        body,
        engine: request.app_data::<EngineHandle>().cloned(),
        delivery: request.extensions_mut().remove::<Arc<Delivery>>(),
        headers,
    }
}
