//! What is particular to actix-web: the app is built once for each worker, and application data is found at run time.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_web::{App, HttpServer, rt::System, web};
use common::{ended, run, tell};
use workflow::{WaitResult, WorkflowContext, client::RunState, workflow};
use workflow_actix::{attach, serve};
use workflow_engine::Engine;

#[workflow]
async fn greet(ctx: WorkflowContext<String>, greeting: web::Data<&'static str>) -> workflow::Result<String> {
    ctx.run("greet", async || Ok(format!("{}, {}!", **greeting, ctx.request_payload()))).await
}

/// Deliveries are made by threads like those of a server, in whichever runtime the app is attached.
async fn deliveries_need_no_server() {
    let engine = Engine::in_memory().unwrap();
    let app = || App::new().app_data(web::Data::new("Hello")).route("/greet", serve::<greet>());
    let _app = attach(app, &engine.handle());

    let client = engine.client();
    let mut runs = Vec::new();
    for number in 0..50 {
        runs.push((number, client.trigger_url("/greet", &number.to_string()).await.unwrap().workflow_run_id));
    }
    for (number, run) in runs {
        let log = ended(&client, &run).await;
        assert_eq!(log.workflow_run_response, Some(format!("\"Hello, {number}!\"")), "{log:#?}");
    }
    engine.shutdown().await;
}

#[actix_web::test]
async fn deliveries_need_no_server_in_an_actix_system() {
    assert!(System::try_current().is_some());
    deliveries_need_no_server().await;
}

#[tokio::test]
async fn deliveries_need_no_server_in_a_tokio_runtime() {
    assert!(System::try_current().is_none());
    deliveries_need_no_server().await;
}

/// The actix system that a handler finds itself in.
#[workflow]
async fn system(_ctx: WorkflowContext<()>) -> workflow::Result<Option<usize>> {
    Ok(System::try_current().map(|system| system.id()))
}

/// What needs an actix system finds one. It is not that of the server, which stops it on a signal, with all threads in it.
#[actix_web::test]
async fn deliveries_run_in_an_actix_system_of_their_own() {
    let engine = Engine::in_memory().unwrap();
    let _app = attach(|| App::new().route("/system", serve::<system>()), &engine.handle());
    let log = run(&engine.client(), "/system", &()).await;
    let system: Option<usize> = log.workflow_run_response.map(|id| id.parse().unwrap());
    assert!(system.is_some_and(|id| id != System::current().id()), "{system:?}");
    engine.shutdown().await;
}

#[workflow]
async fn count(ctx: WorkflowContext<()>, begun: web::Data<AtomicUsize>) -> workflow::Result<usize> {
    let before = begun.fetch_add(1, Ordering::SeqCst);
    match ctx.wait_for_event("end the delivery", "go", Duration::from_secs(60)).await? {
        WaitResult::Received(()) => Ok(before),
        WaitResult::TimedOut => Err(workflow::Error::non_retryable("nobody said go")),
    }
}

#[actix_web::test]
async fn however_many_workers_a_server_has_a_delivery_is_made_once() {
    let engine = Engine::in_memory().unwrap();
    let begun = web::Data::new(AtomicUsize::new(0));
    let built = Arc::new(AtomicUsize::new(0));
    let app = {
        let (begun, built) = (begun.clone(), Arc::clone(&built));
        move || {
            built.fetch_add(1, Ordering::SeqCst);
            App::new().app_data(begun.clone()).route("/count", serve::<count>())
        }
    };
    let server = HttpServer::new(attach(app, &engine.handle())).workers(4).disable_signals();
    let server = server.bind(("127.0.0.1", 0)).unwrap().run();
    let handle = server.handle();
    let serving = actix_web::rt::spawn(server);
    let client = engine.client();
    let run = client.trigger_url("/count", &()).await.unwrap().workflow_run_id;
    tell(&client, "go").await;
    let log = ended(&client, &run).await;

    assert_eq!(log.workflow_state, RunState::RunSuccess, "{log:#?}");
    // Once when it began, and once when the wait was over.
    assert_eq!(begun.load(Ordering::SeqCst), 2);
    handle.stop(true).await;
    serving.await.unwrap().unwrap();
    assert!(
        built.load(Ordering::SeqCst) > 4,
        "the server's four workers and the engine's own have built the app"
    );
    engine.shutdown().await;
}

struct Shop;
struct Mail;

#[workflow]
async fn order(_ctx: WorkflowContext<()>, _: web::Data<Shop>, _: web::Data<Mail>) -> workflow::Result<()> {
    Ok(())
}

#[actix_web::test]
async fn where_data_is_missing_the_run_says_how_to_register_it() {
    let engine = Engine::in_memory().unwrap();
    let app = || App::new().app_data(web::Data::new(Shop)).route("/order", serve::<order>());
    let app = attach(app, &engine.handle());
    let fix = ["`order`", "`web::Data<attach::Mail>`", "`.app_data(web::Data::new(..))`"];

    let client = engine.client();
    let id = client.trigger_url("/order", &()).retries(0).await.unwrap().workflow_run_id;
    let log = ended(&client, &id).await;
    assert_eq!(log.workflow_state, RunState::RunFailed);
    let told = &log.steps.last().unwrap().steps.last().unwrap().errors.last().unwrap().error;
    for part in fix.into_iter().chain(["500"]) {
        assert!(told.contains(part), "{part} in {told}");
    }

    let app = actix_web::test::init_service(app()).await;
    let post = actix_web::test::TestRequest::post().uri("/order").to_request();
    let answer = actix_web::test::call_service(&app, post).await;
    assert_eq!(answer.status(), 500);
    let told: serde_json::Value = actix_web::test::read_body_json(answer).await;
    for part in fix {
        assert!(told["error"].as_str().unwrap().contains(part), "{part} in {told}");
    }
    engine.shutdown().await;
}

#[actix_web::test]
async fn an_app_that_cannot_be_built_fails_no_run() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("engine.db");
    let engine = Engine::open(&file).unwrap();
    let id = engine.client().trigger_url("/greet", &"you").retries(0).await.unwrap().workflow_run_id;
    let (failed, mut failures) = tokio::sync::mpsc::unbounded_channel();
    let broken = move || {
        let failed = failed.clone();
        let fail =
            move || std::future::ready(if failed.is_closed() { Ok("Hello") } else { Err("no database") });
        App::new().data_factory(fail).route("/greet", serve::<greet>())
    };
    // The engine's own copies of the closure and of what it makes are gone once each has failed.
    drop(attach(broken, &engine.handle()));
    assert_eq!(failures.recv().await, None::<()>);
    // What the delivery has become by now is committed before this.
    tokio::task::yield_now().await;
    engine.client().trigger_url("/greet", &"later").await.unwrap();
    engine.shutdown_within(Duration::ZERO).await;

    let engine = Engine::open(&file).unwrap();
    let good = || App::new().data_factory(async || Ok::<_, ()>("Hello")).route("/greet", serve::<greet>());
    let _app = attach(good, &engine.handle());
    let log = ended(&engine.client(), &id).await;
    assert_eq!(log.workflow_run_response.as_deref(), Some("\"Hello, you!\""), "{log:#?}");
    engine.shutdown().await;
}
