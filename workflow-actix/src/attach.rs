//! Ties an app and an engine together.

use std::sync::Arc;

use actix_web::{
    App, Error,
    body::MessageBody,
    dev::{ServiceFactory, ServiceRequest, ServiceResponse},
};
use workflow::engine::{EngineHandle, EngineKind};

use crate::workers::Workers;

/// Attaches an app to the engine that runs its workflows, and gives back the app for the server.
///
/// ```no_run
/// use actix_web::{App, HttpServer, web};
/// use workflow::{WorkflowContext, workflow};
/// use workflow_actix::{attach, serve};
/// use workflow_engine::Engine;
///
/// #[workflow]
/// async fn greet(ctx: WorkflowContext<String>, greeting: web::Data<String>) -> workflow::Result<String> {
///     Ok(format!("{}, {}!", greeting.as_str(), ctx.request_payload()))
/// }
///
/// #[actix_web::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let engine = Engine::open("orders.db")?;
///     let greeting = web::Data::new("Hello".to_owned());
///     let app = attach(
///         move || App::new().app_data(greeting.clone()).route("/api/greet", serve::<greet>()),
///         &engine.handle(),
///     );
///     HttpServer::new(app).bind(("127.0.0.1", 3000))?.run().await?;
///     engine.shutdown().await;
///     Ok(())
/// }
/// ```
///
/// Every workflow that the app mounts, also in its scopes, then belongs to `engine`. It is attached once, however many workers
/// the server has: what [`attach`] returns only builds the app.
///
/// An embedded engine delivers through the app from now on. It builds the app for itself, on threads of its own (as many as the
/// machine has cores), and calls it there without a socket; so it needs no server, and goes on while a server restarts or
/// shuts down. Each delivery is a request that passes the app's middleware and extractors; there is no connection behind it,
/// so it has no peer address and no data of `HttpServer::on_connect`. Runs that were left over from an earlier process go on at
/// once. What a closure creates is there once for each thread: share it by creating it outside, as with any actix app.
///
/// For a graceful end let the server end first (it stops by itself on SIGTERM and Ctrl-C), then shut the engine down. No run
/// fails by it.
pub fn attach<F, T, B>(factory: F, engine: &EngineHandle) -> impl Fn() -> App<T> + Clone + Send + 'static
where
    F: Fn() -> App<T> + Clone + Send + 'static,
    T: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<B>,
            Error = Error,
            InitError = (),
        > + 'static,
    B: MessageBody + 'static,
{
    let handle = engine.clone();
    let factory = move || factory().app_data(handle.clone());
    if let EngineKind::Embedded(engine) = engine.kind() {
        engine.attach(Arc::new(Workers::start(factory.clone())));
    }
    factory
}
