//! The examples of `docs/notify.md`, run. The page shows parts of this file; the last test compares them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{FromRef, State},
    routing::post,
};
use common::{Deeds, Told, deeds};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;
use tokio::sync::Semaphore;
use workflow::{
    Client, ClientError, Event, WaitResult, Workflow, WorkflowContext, client::Notified, workflow,
};
use workflow_axum::{attach, serve};
use workflow_engine::Engine;

#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    order_id: u64,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Processed {
    order_id: u64,
    status: String,
    result: Receipt,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Receipt {
    tracking_number: String,
}

#[derive(Deserialize, Serialize)]
struct Payment {
    verified: bool,
    amount: u64,
}

#[derive(Deserialize, Serialize)]
struct Invoice {
    number: u64,
}

#[derive(Deserialize, Serialize, Event)]
#[event(id = "invoice-paid-{number}")]
struct InvoicePaid {
    number: u64,
    cents: u64,
}

#[derive(Clone)]
struct Mails(Deeds);

impl Mails {
    async fn send(&self, text: &str) -> workflow::Result<()> {
        self.0.tell(text.to_owned());
        Ok(())
    }
}

#[derive(Clone)]
struct Shop {
    deeds: Deeds,
    /// A reservation needs a permit, so that tests decide when it is done.
    permits: Arc<Semaphore>,
}

impl Shop {
    async fn process(&self, order: &Order) -> workflow::Result<Receipt> {
        Ok(Receipt { tracking_number: format!("TRK{}", order.order_id) })
    }

    async fn reserve(&self, _: &Order) -> workflow::Result<()> {
        self.permits.acquire().await?.forget();
        Ok(())
    }

    async fn sell(&self, order: &Order, amount: u64) -> workflow::Result<()> {
        self.deeds.tell(format!("order {} sold for {amount}", order.order_id));
        Ok(())
    }

    async fn release(&self, order: &Order) -> workflow::Result<()> {
        self.deeds.tell(format!("order {} released", order.order_id));
        Ok(())
    }
}

#[derive(Clone)]
struct AppState {
    shop: Shop,
    mails: Mails,
}

impl FromRef<AppState> for Shop {
    fn from_ref(state: &AppState) -> Self {
        state.shop.clone()
    }
}

impl FromRef<AppState> for Mails {
    fn from_ref(state: &AppState) -> Self {
        state.mails.clone()
    }
}

#[workflow]
async fn confirm_order(ctx: WorkflowContext<Order>, State(mails): State<Mails>) -> workflow::Result<()> {
    let order = ctx.request_payload();
    let event = format!("order-{}", order.order_id);
    let day = Duration::from_secs(24 * 60 * 60);

    let text = match ctx.wait_for_event::<Processed>("wait-until-processed", event, day).await? {
        WaitResult::Received(processed) => format!("order {}: {}", processed.order_id, processed.status),
        WaitResult::TimedOut => format!("order {} is late", order.order_id),
    };
    ctx.run("mail-customer", async || mails.send(&text).await).await
}

#[workflow]
async fn process_order(ctx: WorkflowContext<Order>, State(shop): State<Shop>) -> workflow::Result<()> {
    let order = ctx.request_payload();

    let receipt = ctx.run("process-order", async || shop.process(order).await).await?;

    let processed = Processed { order_id: order.order_id, status: "completed".to_owned(), result: receipt };
    let told =
        ctx.notify("notify-processing-complete", format!("order-{}", order.order_id), &processed).await?;

    ctx.run("log-notification", async || {
        println!("notified {} waiting runs", told.runs().count());
        Ok(())
    })
    .await
}

#[workflow]
async fn sell_order(ctx: WorkflowContext<Order>, State(shop): State<Shop>) -> workflow::Result<()> {
    ctx.run("reserve-goods", async || shop.reserve(ctx.request_payload()).await).await?;

    let hour = Duration::from_secs(60 * 60);
    match ctx.wait_for_event::<Payment>("wait-for-payment", "payment-verified", hour).await? {
        WaitResult::Received(payment) if payment.verified => {
            ctx.run("sell", async || shop.sell(ctx.request_payload(), payment.amount).await).await
        }
        _ => ctx.run("release-goods", async || shop.release(ctx.request_payload()).await).await,
    }
}

#[workflow]
async fn send_reminder(ctx: WorkflowContext<Invoice>, State(mails): State<Mails>) -> workflow::Result<u64> {
    let Invoice { number } = ctx.request_payload();
    let fortnight = Duration::from_secs(14 * 24 * 60 * 60);

    match ctx.wait_for_event("wait-for-payment", InvoicePaid::id(number), fortnight).await? {
        WaitResult::Received(paid) => Ok(paid.cents),
        WaitResult::TimedOut => {
            let text = format!("invoice {number} is due");
            ctx.run("remind", async || mails.send(&text).await).await?;
            Ok(0)
        }
    }
}

#[workflow]
async fn book_payment(ctx: WorkflowContext<u64>) -> workflow::Result<usize> {
    let event = InvoicePaid { number: *ctx.request_payload(), cents: 1 };
    let told = ctx.notify_event("tell-of-payment", &event).await?;
    Ok(told.runs().count())
}

async fn notify_of_payment(client: &Client) -> Result<Vec<Notified>, ClientError> {
    let told = client.notify_event(&InvoicePaid { number: 5, cents: 995 }).await?;
    Ok(told)
}

async fn notify_from_outside(client: &Client) -> Result<Vec<Notified>, ClientError> {
    let told = client
        .notify(
            "order-123",
            &json!({
                "orderId": 123,
                "status": "completed",
                "result": { "trackingNumber": "TRK123456" },
            }),
        )
        .await?;

    for notified in &told {
        println!("told run {}", notified.workflow_run_id);
    }
    Ok(told)
}

async fn trigger_and_notify(client: &Client) -> Result<String, ClientError> {
    let run = client.trigger::<sell_order>(&Order { order_id: 123 }).await?;

    // The run has hardly begun, and does not wait for anything yet.
    client
        .notify("payment-verified", &Payment { verified: true, amount: 100 })
        .run_id(&run.workflow_run_id)
        .await?;
    Ok(run.workflow_run_id)
}

struct Page {
    client: Client,
    permits: Arc<Semaphore>,
    told: Told,
    _engine: Engine,
}

fn page() -> Page {
    let (deeds, told) = deeds();
    let shop = Shop { deeds: deeds.clone(), permits: Arc::new(Semaphore::new(0)) };
    let permits = shop.permits.clone();
    let sell = Router::new().route("/api/sell-order", post(serve::<sell_order>())).with_state(shop.clone());
    let mails = Mails(deeds);
    let typed = Router::new()
        .route("/api/send-reminder", post(serve::<send_reminder>()))
        .route("/api/book-payment", post(serve::<book_payment>()))
        .with_state(mails.clone());
    let state = AppState { shop, mails };

    let app = Router::new()
        .route("/api/confirm-order", post(serve::<confirm_order>()))
        .route("/api/process-order", post(serve::<process_order>()))
        .with_state(state);

    let engine = Engine::in_memory().unwrap();
    let _app = attach(app.merge(sell).merge(typed), &engine.handle());
    Page { client: engine.client().workflows_at("/api"), permits, told, _engine: engine }
}

/// Starts a run that waits for the order, and returns its id once it does.
async fn waiting_run(client: &Client, order_id: u64) -> String {
    let run = client.trigger::<confirm_order>(&Order { order_id }).await.unwrap();
    loop {
        let waiters = waiters(client).await.unwrap();
        if waiters.iter().any(|waiter| waiter.run_id() == Some(&run.workflow_run_id)) {
            return run.workflow_run_id;
        }
        tokio::task::yield_now().await;
    }
}

async fn waiters(client: &Client) -> Result<Vec<workflow::client::Waiter>, ClientError> {
    let waiters = client.get_waiters("order-123").await?;
    Ok(waiters)
}

#[tokio::test]
async fn a_workflow_notifies_another_one() {
    let mut page = page();
    waiting_run(&page.client, 123).await;
    page.client.trigger::<process_order>(&Order { order_id: 123 }).await.unwrap();
    assert_eq!(page.told.next().await, "order 123: completed");
}

#[tokio::test]
async fn the_client_notifies_every_waiting_run() {
    let mut page = page();
    let first = waiting_run(&page.client, 123).await;
    let second = waiting_run(&page.client, 123).await;
    let told = notify_from_outside(&page.client).await.unwrap();
    let runs: Vec<_> = told.iter().map(|notified| &notified.workflow_run_id).collect();
    assert_eq!(runs, [&first, &second]);
    for _ in runs {
        assert_eq!(page.told.next().await, "order 123: completed");
    }
    assert!(notify_from_outside(&page.client).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_notification_by_run_id_waits_for_the_run() {
    let mut page = page();
    let run_id = trigger_and_notify(&page.client).await.unwrap();
    assert!(page.client.get_waiters("payment-verified").await.unwrap().is_empty());
    page.permits.add_permits(1);
    assert_eq!(page.told.next().await, "order 123 sold for 100");

    let late = page.client.notify("payment-verified", &()).run_id(format!("{run_id}x")).await.unwrap_err();
    assert!(matches!(late, ClientError::Refused { status: 404, .. }), "{late}");
}

/// Starts a run that waits for the payment of an invoice, and returns its id once it does.
async fn reminding_run(client: &Client, number: u64) -> String {
    let run = client.trigger::<send_reminder>(&Invoice { number }).await.unwrap().workflow_run_id;
    while client.get_waiters(InvoicePaid::id(number)).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    run
}

async fn result<W: Workflow<Output: DeserializeOwned + 'static>>(client: &Client, run_id: &str) -> W::Output {
    loop {
        let run = client.run(run_id).await.unwrap().unwrap();
        if let Some(result) = run.result::<W>().unwrap() {
            return result;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_event_with_a_type_says_what_it_is_called() {
    let Page { client, .. } = &page();
    let run = reminding_run(client, 5).await;
    let told = notify_of_payment(client).await.unwrap();
    assert_eq!(told[0].workflow_run_id, run);
    assert_eq!(result::<send_reminder>(client, &run).await, 995);

    let run = reminding_run(client, 6).await;
    let booking = client.trigger::<book_payment>(&6).await.unwrap().workflow_run_id;
    assert_eq!(result::<book_payment>(client, &booking).await, 1);
    assert_eq!(result::<send_reminder>(client, &run).await, 1);

    let run = reminding_run(client, 7).await;
    let by_text = client.notify("invoice-paid-7", &json!({ "number": 7, "cents": 7 })).await.unwrap();
    assert_eq!(by_text.len(), 1);
    assert_eq!(result::<send_reminder>(client, &run).await, 7);

    let hour = Duration::from_secs(60 * 60);
    let later = client.trigger::<send_reminder>(&Invoice { number: 8 }).delay(hour).await.unwrap();
    let early = InvoicePaid { number: 8, cents: 8 };
    let stored = client.notify_event(&early).run_id(&later.workflow_run_id).await.unwrap();
    assert_eq!((stored[0].waiter.as_ref(), stored[0].error.as_str()), (None, ""));
}

/// Every Rust block of the page is a part of this file, but for its indentation.
#[test]
fn the_page_shows_what_is_run_here() {
    let page = include_str!("../../docs/notify.md");
    let here = unindented(include_str!("notify_docs.rs"));
    let blocks: Vec<_> =
        page.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(blocks.len(), 10);
    for block in blocks {
        assert!(
            here.contains(&unindented(block)),
            "docs/notify.md shows what notify_docs.rs does not run:\n{block}"
        );
    }
}

fn unindented(code: &str) -> String {
    code.lines().map(|line| format!("{}\n", line.trim_start())).collect()
}
