//! The suite's app in actix-web.

use std::{
    future::{Ready, ready},
    net::TcpListener,
    thread::{self, JoinHandle},
};

use actix_web::{
    App, Error, FromRequest, HttpRequest, HttpResponse, HttpServer,
    body::BoxBody,
    dev::{Payload, ServerHandle, ServiceRequest, ServiceResponse},
    error::InternalError,
    http::{StatusCode, header::WWW_AUTHENTICATE},
    middleware::{Next, from_fn},
    rt::{self, System},
    web,
};
use tokio::sync::oneshot;
use workflow::{EngineHandle, WorkflowContext, workflow};
use workflow_actix::{attach, serve, serve_many, webhooks as serve_webhooks};
use workflow_tests::{
    Probe,
    adapters::{self, Act, Harness, REFUSED, REFUSES, echo},
};

workflow_tests::conformance!(Actix);

struct Actix {
    handle: ServerHandle,
    thread: JoinHandle<std::io::Result<()>>,
}

impl Harness for Actix {
    async fn serve(listener: TcpListener, engine: Option<EngineHandle>, probe: Probe) -> Self {
        let (ready, started) = oneshot::channel();
        let app = move || {
            let deep = web::scope("/deep").route("/echo", serve::<echo>());
            App::new()
                .app_data(web::Data::new(probe.clone()))
                .wrap(from_fn(refuse))
                .route("/hello", web::get().to(async || "hello"))
                .route("/echo", serve::<echo>())
                .configure(|config| {
                    config.service(web::resource("/play").route(serve::<play>()));
                    config.route("/hooks/{run}/{webhook}", serve_webhooks());
                    config.route("/many/{workflow}", serve_many::<(echo, play)>());
                })
                .service(web::scope("/nested").service(deep))
        };
        let thread = thread::spawn(move || {
            let system = System::new();
            system.block_on(async {
                let server = match engine {
                    Some(engine) => HttpServer::new(attach(app, &engine)).workers(2).listen(listener)?.run(),
                    None => HttpServer::new(app).workers(2).listen(listener)?.run(),
                };
                ready.send(server.handle()).unwrap();
                // Once it has ended, a server that got a signal stops the system.
                rt::spawn(async {
                    server.await.unwrap();
                    System::current().stop();
                });
                std::io::Result::Ok(())
            })?;
            system.run()
        });
        Self { handle: started.await.unwrap(), thread }
    }

    async fn stop(self) {
        self.handle.stop(true).await;
        tokio::task::spawn_blocking(|| self.thread.join()).await.unwrap().unwrap().unwrap();
    }
}

#[workflow]
async fn play(
    ctx: WorkflowContext<Act>,
    caller: Caller,
    probe: web::Data<Probe>,
) -> workflow::Result<String> {
    adapters::play(&ctx, &caller.0, &probe).await
}

struct Caller(String);

impl FromRequest for Caller {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let header = request.headers().get("x-caller").and_then(|caller| caller.to_str().ok());
        let probe = request.app_data::<web::Data<Probe>>().unwrap();
        ready(adapters::caller(header, probe).map(Self).map_err(|rejection| {
            let answer = HttpResponse::build(StatusCode::from_u16(rejection.status).unwrap())
                .insert_header((WWW_AUTHENTICATE, rejection.challenge))
                .body(rejection.body);
            InternalError::from_response(rejection.body, answer).into()
        }))
    }
}

async fn refuse(request: ServiceRequest, next: Next<BoxBody>) -> Result<ServiceResponse, Error> {
    if request.headers().contains_key(REFUSES) {
        return Ok(
            request.into_response(HttpResponse::build(StatusCode::from_u16(REFUSED).unwrap()).finish())
        );
    }
    next.call(request).await
}
