//! The embedded durable engine: commands, store, timers and delivery in one SQLite file.
//!
//! [`Engine::open`] is all there is to install. The app attaches itself (`attach` of its adapter), and its workflows are
//! delivered in process: a run continues in the same future from step to step, and each step costs one entry of a group commit.
//! Workflows elsewhere, in any language, are called over the Upstash Workflow protocol.
//!
//! What holds, always:
//!
//! * A step runs at least once; its committed result is used exactly once. The first result of a step wins.
//! * A notification is delivered to a wait, stored for lookback, or refused with the reason in the answer; never lost.
//! * Exactly one of event and timeout resolves a wait.
//! * `ctx.notify` delivers and records its own step in one command.
//! * A run that has ended is never changed again.
//! * Everything due is recovered from the store alone, after any kind of end of the process.
//!
//! Inside, data flows one way: a call becomes a command, the writer applies it to the store and commits, and what has become due
//! is handed to the dispatcher.

mod clock;
mod command;
mod dead_letters;
mod delivery;
mod embedded;
mod engine;
mod error;
mod export;
mod flow_control;
mod keys;
mod limits;
mod logs;
mod message;
mod open;
mod readers;
mod requests;
mod retry;
mod store;
mod trigger;
mod urls;
mod webhook;
mod writer;

pub use self::{
    clock::{Clock, ManualClock, SystemClock},
    command::Published,
    engine::Engine,
    error::EngineError,
    keys::SigningKeys,
    message::Message,
    open::Builder,
    requests::{HistoryEntry, WaitBody, WaitRequest},
    store::StoreError,
    webhook::WebhookCall,
};
