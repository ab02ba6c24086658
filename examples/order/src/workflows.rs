//! The workflows of a small shop.

use std::time::Duration;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use workflow::{Event, WaitResult, WorkflowContext, workflow};

use crate::shop::Shop;

const DAY: Duration = Duration::from_secs(86_400);

/// What a customer orders. All workflows here are triggered with it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    pub order_id: u64,
    pub item: String,
}

/// The data of the event `order-<id>`: the order has been processed.
#[derive(Clone, Debug, Deserialize, Serialize, Event)]
#[event(id = "order-{order_id}")]
#[serde(rename_all = "camelCase")]
pub struct Processed {
    pub order_id: u64,
    pub tracking_number: String,
}

/// The data of the event `payment-<id>`: the customer has paid.
#[derive(Clone, Debug, Deserialize, Serialize, Event)]
#[event(id = "payment-{order_id}")]
#[serde(rename_all = "camelCase")]
pub struct Payment {
    pub order_id: u64,
    pub cents: u64,
}

/// Waits until somebody has processed the order, and tells the customer. While it waits it costs a row in a table.
#[workflow]
pub async fn confirm_order(
    ctx: WorkflowContext<Order>,
    State(shop): State<Shop>,
) -> workflow::Result<String> {
    let order = ctx.request_payload();
    let event = Processed::id(order.order_id);

    let mail = match ctx.wait_for_event("wait-until-processed", event, DAY).await? {
        WaitResult::Received(processed) => {
            format!("your {} is on its way: {}", order.item, processed.tracking_number)
        }
        WaitResult::TimedOut => format!("your {} takes longer than usual", order.item),
    };
    ctx.run("mail-customer", async || shop.mail(order, &mail).await).await?;
    Ok(mail)
}

/// Processes an order and notifies everybody who waits for it.
#[workflow]
pub async fn process_order(
    ctx: WorkflowContext<Order>,
    State(shop): State<Shop>,
) -> workflow::Result<Processed> {
    let order = ctx.request_payload();

    let tracking_number = ctx.run("process-order", async || shop.send_parcel(order).await).await?;
    let processed = Processed { order_id: order.order_id, tracking_number };

    let told = ctx.notify_event("notify-processing-complete", &processed).await?;
    ctx.run("log-notification", async || {
        let runs: Vec<_> = told.runs().collect();
        shop.note(order, &format!("told {runs:?}")).await
    })
    .await?;
    Ok(processed)
}

/// Reserves the goods and waits for the payment. It may come at any time, even before this workflow waits for it.
#[workflow]
pub async fn sell_order(ctx: WorkflowContext<Order>, State(shop): State<Shop>) -> workflow::Result<String> {
    let order = ctx.request_payload();

    ctx.run("reserve-goods", async || shop.reserve(order).await).await?;
    let payment = ctx.wait_for_event("wait-for-payment", Payment::id(order.order_id), DAY).await?;
    match payment {
        WaitResult::Received(payment) => Ok(format!("{} sold for {} cents", order.item, payment.cents)),
        WaitResult::TimedOut => {
            ctx.run("release-goods", async || shop.release(order).await).await?;
            Ok(format!("{} not paid within a day", order.item))
        }
    }
}

/// Charges the card and sends the parcel. Nobody wants to be charged twice because a process died in between.
#[workflow]
pub async fn ship_order(ctx: WorkflowContext<Order>, State(shop): State<Shop>) -> workflow::Result<String> {
    let order = ctx.request_payload();

    let charge = ctx.run("charge-card", async || shop.charge_card(order).await).await?;
    let tracking_number = ctx.run("send-parcel", async || shop.send_parcel(order).await).await?;
    Ok(format!("{} charged as {charge}, sent as {tracking_number}", order.item))
}
