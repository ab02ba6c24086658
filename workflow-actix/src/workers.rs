//! The app as an embedded engine sees it: built once more, on threads of its own.
//!
//! An actix app lives on one thread: each worker of a server builds its own, and none can be called from outside. The engine
//! therefore has workers of its own, which build the app with the same closure and take requests through channels. The other
//! way would be to send deliveries through a socket to the app's own server. Against that speaks that
//!
//! * the server's workers end before the engine does. A step that runs while the process is asked to stop would be cut off;
//!   here it ends and is recorded;
//! * there would have to be a server, and its address, certificate and connection limits would be the engine's business;
//! * it costs more: 87 instead of 49 microseconds of CPU for a run of one step (client, engine and workflow together), and 215
//!   instead of 155 for one of ten, with 128 runs in flight. Called like this, an actix app is as fast as an axum app.
//!
//! A worker's thread is like one of a server: a runtime for one thread with a `LocalSet`. It has an actix system of its own. In
//! that of the server its steps would be cut off as well: when a signal comes, the server ends its workers and then stops the
//! system with all threads in it.

use std::{
    io,
    panic::AssertUnwindSafe,
    pin::pin,
    rc::Rc,
    thread::{self, available_parallelism},
};

use actix_http::Request;
use actix_service::IntoServiceFactory;
use actix_web::{
    Error, HttpResponse,
    body::{self, MessageBody},
    dev::{AppConfig, Service, ServiceFactory, ServiceResponse},
    rt::{self, Runtime, System},
};
use bytes::Bytes;
use futures_util::{
    FutureExt,
    future::{Either, poll_fn, select},
};
use http::StatusCode;
use tokio::sync::{mpsc, oneshot};
use workflow::{
    endpoint,
    engine::{App, BoxFuture},
};

use crate::translate;

/// Where an engine sends its deliveries.
pub(crate) struct Workers(Vec<mpsc::UnboundedSender<Call>>);

/// One delivery, and where its outcome is awaited. It is over when nobody waits any more.
struct Call {
    request: http::Request<Bytes>,
    answer: oneshot::Sender<thread::Result<http::Response<Bytes>>>,
}

impl Workers {
    /// Starts as many workers as the machine has cores. They end when this is dropped.
    pub(crate) fn start<F, I, S, B>(factory: F) -> Self
    where
        F: Fn() -> I + Clone + Send + 'static,
        I: IntoServiceFactory<S, Request>,
        S: ServiceFactory<Request, Config = AppConfig, Response = ServiceResponse<B>, Error = Error>
            + 'static,
        B: MessageBody + 'static,
    {
        let workers = (0..available_parallelism().map_or(1, usize::from)).filter_map(|_| {
            let (sender, calls) = mpsc::unbounded_channel();
            let factory = factory.clone();
            match start_thread(async move || work(factory(), calls).await) {
                Ok(()) => Some(sender),
                Err(error) => {
                    tracing::error!(%error, "a thread for deliveries to this app cannot be started");
                    None
                }
            }
        });
        Self(workers.collect())
    }

    /// The one that is doing least. Each call keeps a sender until it is over.
    fn least_busy(&self) -> Option<mpsc::UnboundedSender<Call>> {
        let alive = self.0.iter().filter(|worker| !worker.is_closed());
        alive.min_by_key(|worker| worker.strong_count()).cloned()
    }
}

impl App for Workers {
    fn call(&self, request: http::Request<Bytes>) -> BoxFuture<'static, http::Response<Bytes>> {
        let worker = self.least_busy();
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            if let Some(worker) = &worker {
                // If it has ended by now, the sender is dropped with the call.
                let _ = worker.send(Call { request, answer });
            } else {
                drop(answer);
            }
            match answered.await {
                Ok(Ok(answer)) => answer,
                Ok(Err(panic)) => std::panic::resume_unwind(panic),
                // There is no app any more. That is no failure of the run, which goes on at the next start.
                Err(_) => std::future::pending().await,
            }
        })
    }
}

/// Starts a thread with an actix system.
fn start_thread<F, Fut>(work: F) -> io::Result<()>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let thread = thread::Builder::new().name("workflow-actix".to_owned());
    thread.spawn(|| match Runtime::new() {
        Ok(runtime) => System::with_tokio_rt(|| runtime).block_on(async { work().await }),
        Err(error) => tracing::error!(%error, "a thread for deliveries to this app has no runtime"),
    })?;
    Ok(())
}

/// Builds the app and calls it until there is nobody any more who could ask for it.
async fn work<I, S, B>(app: I, mut calls: mpsc::UnboundedReceiver<Call>)
where
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    let Ok(service) = app.into_factory().new_service(AppConfig::default()).await else {
        tracing::error!(
            "the app cannot be built: a middleware or a data factory of it failed. Its runs wait for the next start"
        );
        return;
    };
    let service = Rc::new(service);
    while let Some(Call { request, mut answer }) = calls.recv().await {
        let service = Rc::clone(&service);
        rt::spawn(async move {
            let outcome = {
                let handled = AssertUnwindSafe(handle(&*service, request)).catch_unwind();
                match select(pin!(handled), pin!(answer.closed())).await {
                    Either::Left((outcome, _)) => outcome,
                    Either::Right(_) => return,
                }
            };
            let _ = answer.send(outcome);
        });
    }
}

/// Lets the app handle one request.
async fn handle<S, B>(service: &S, request: http::Request<Bytes>) -> http::Response<Bytes>
where
    S: Service<Request, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let request = match translate::to_app(request) {
        Ok(request) => request,
        Err(error) => {
            return endpoint::rejected(
                StatusCode::BAD_REQUEST,
                &format!("actix-web takes no such request: {error}"),
            );
        }
    };
    let answered = async {
        poll_fn(|context| service.poll_ready(context)).await?;
        service.call(request).await
    };
    match answered.await {
        Ok(answer) => read(answer.into_parts().1).await,
        Err(error) => read(HttpResponse::from_error(error)).await,
    }
}

async fn read<B: MessageBody>(answer: HttpResponse<B>) -> http::Response<Bytes> {
    let (answer, body) = answer.into_parts();
    let head = translate::to_engine(&answer);
    match body::to_bytes(body).await {
        Ok(body) => head.map(|()| body),
        Err(error) => {
            let error: Box<dyn std::error::Error> = error.into();
            let message = format!("the app's answer with status {} broke off: {error}", head.status());
            endpoint::rejected(StatusCode::INTERNAL_SERVER_ERROR, &message)
        }
    }
}
