//! The examples of `docs/replay.md`, run. The page shows parts of this file; the last test compares them.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use workflow::{
    WorkflowContext,
    testing::{History, Replayed, replay},
    workflow,
};
use workflow_engine::Engine;

#[derive(Deserialize, Serialize)]
struct Order {
    id: u64,
}

#[derive(Clone)]
struct Shop;

impl Shop {
    async fn charge(&self, order: &Order) -> workflow::Result<String> {
        Ok(format!("charge {}", order.id))
    }

    async fn send(&self, order: &Order) -> workflow::Result<String> {
        Ok(format!("parcel {}", order.id))
    }
}

#[workflow]
async fn ship_order(ctx: WorkflowContext<Order>, State(shop): State<Shop>) -> workflow::Result<String> {
    let order = ctx.request_payload();
    let charge = ctx.run("charge-card", async || shop.charge(order).await).await?;
    let parcel = ctx.run("send-parcel", async || shop.send(order).await).await?;
    Ok(format!("{charge}, {parcel}"))
}

#[tokio::test]
async fn runs_that_are_on_their_way_go_on_with_this_code() {
    let history = History::from_json(include_str!("histories/ship_order.json")).unwrap();
    match replay::<ship_order>(&history, (State(Shop),)).await {
        Ok(Replayed::EndOfHistory { next }) => assert_eq!(next[0].name, "send-parcel"),
        Ok(other) => panic!("the run should have more to do: {other:?}"),
        Err(divergence) => panic!("{divergence}"),
    }
}

mod changed {
    use super::*;

    #[workflow]
    pub(super) async fn ship_order(
        ctx: WorkflowContext<Order>,
        State(shop): State<Shop>,
    ) -> workflow::Result<String> {
        let order = ctx.request_payload();
        let parcel = ctx.run("send-parcel", async || shop.send(order).await).await?;
        let charge = ctx.run("charge-card", async || shop.charge(order).await).await?;
        Ok(format!("{charge}, {parcel}"))
    }
}

#[tokio::test]
async fn the_page_shows_the_message_of_a_divergence() {
    let history = History::from_json(include_str!("histories/ship_order.json")).unwrap();
    let divergence = replay::<changed::ship_order>(&history, (State(Shop),)).await.unwrap_err();
    let message = divergence.to_string();
    let location = divergence.produced.unwrap().location.to_string();
    let message = message.replace(&location, "src/orders.rs:31:27");
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let page = words(include_str!("../../../docs/replay.md"));
    assert!(page.contains(&words(&message)), "docs/replay.md does not show: {message}");
}

async fn keep(
    engine: &Engine,
    run_id: &str,
    file: &std::path::Path,
) -> Result<(), Box<dyn std::error::Error>> {
    let history = engine.export(run_id).await?;
    std::fs::write(file, history.to_json())?;
    Ok(())
}

#[tokio::test]
async fn a_history_is_kept_in_a_file() {
    let engine = Engine::in_memory().unwrap();
    let run = engine.client().trigger_url("/ship", &Order { id: 7 }).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("history.json");
    keep(&engine, &run.workflow_run_id, &file).await.unwrap();
    let history = History::from_json(std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(&history.payload()[..], br#"{"id":7}"#);
}

/// Every Rust block of the page is a part of this file, but for its indentation.
#[test]
fn the_page_shows_what_is_run_here() {
    let page = include_str!("../../../docs/replay.md");
    let unindented =
        |code: &str| code.lines().map(|line| format!("{}\n", line.trim_start())).collect::<String>();
    let here = unindented(include_str!("docs.rs"));
    let blocks: Vec<_> =
        page.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(blocks.len(), 3);
    for block in blocks {
        assert!(
            here.contains(&unindented(block)),
            "docs/replay.md shows what docs.rs does not run:\n{block}"
        );
    }
}
