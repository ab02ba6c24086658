//! The `#[workflow]` attribute, and the derive of `Event`. Use them through the crate `workflow`, which re-exports them.
//!
//! The steps are `options` and `parse` (what the user wrote), `validate` and `body` (every mistake at once, each with its
//! place) and `expand` (the code). Only this file touches `proc_macro`, so that tests call the rest directly.

mod body;
mod duration;
mod event;
mod expand;
mod expression;
mod flow_control;
mod functions;
mod keys;
mod options;
mod parse;
#[cfg(test)]
mod tests;
mod validate;

use proc_macro::TokenStream;

/// Makes an async function a durable workflow.
///
/// ```text
/// #[workflow]
/// async fn process_order(ctx: WorkflowContext<Order>, State(shop): State<Shop>) -> workflow::Result<Receipt> {
///     ctx.run("charge", async || shop.charge(ctx.request_payload()).await).await
/// }
/// ```
///
/// The function stays what it is: it can be called, documented and tested. Beside it appears a hidden type of the same
/// name, by which it is mounted: `serve::<process_order>()`.
///
/// * The first parameter is `WorkflowContext<T>`; `T` is the type of the payload.
/// * All further parameters are extractors of the web framework, as in any handler. They are extracted from every delivery
///   of the run, which carries the headers that the run was triggered with.
/// * The return type is a `workflow::Result` of anything that serializes.
/// * All these types must be as visible as the function: they are what it is mounted and triggered with. A `pub` workflow with a
///   private payload does not compile (E0446, at the parameter); make the type `pub`, too, or the function private.
///
/// # Options
///
/// | option | what it says |
/// |---|---|
/// | `name = "process-order"` | the workflow's name, if not that of the function |
/// | `retries = 3` | how often a failed step is retried before the run fails |
/// | `retry_delay = "pow(2, retried) * 1000"` | the delay before a retry in milliseconds: numbers, `retried`, `+ - * / ( )`, `pow`, `sqrt`, `abs`, `exp`, `floor`, `ceil`, `round`, `min`, `max` |
/// | `timeout = "30s"` | how long an attempt of a step may take: `250ms`, `30s`, `1m30s`, `2h`, `1d`, or a number of seconds |
/// | `label = "retail"`, `label = ["retail", "eu"]` | labels of all runs, to find them by |
/// | `flow_control(key = "shop", parallelism = 3, rate = 10, period = "1m")` | limits that everything with this key shares: how many deliveries are under way at once, and how many begin in each period (a second, unless it is given; at most a week). At least one of `parallelism` and `rate` is given |
/// | `on_failure = path` | what is called when a run has failed: an `async fn(FailedRun<Payload>, ..) -> workflow::Result<R>` with the same further parameters as the workflow, where `R` serializes |
/// | `parse = path` | what reads a payload instead of JSON: a `fn(&[u8]) -> Result<Payload, E>`, where `E` implements `Display` |
/// | `validate = path` | what checks a payload: a `fn(&Payload) -> Result<(), E>`, where `E` implements `Display` |
/// | `crate = path` | where the crate `workflow` is, if not at `::workflow`, for instance because another crate re-exports it |
/// | `allow(nondeterminism)` | no warnings of what differs from replay to replay |
/// | `allow(repeated_step_name)` | no warnings of two steps of one name, one after the other |
///
/// Retries, their delay, labels and flow control apply to runs that are started by a request to the workflow itself or by its
/// type. What such a trigger says itself comes first.
///
/// # Payloads
///
/// A request whose payload cannot be read, or is not valid, is answered with 422 and the text of the error, and starts no
/// run. A run that was triggered with such a payload fails without a retry. With the crate `garde`, a payload with its derive
/// is checked by `validate = garde::Validate::validate`, and the answer names the fields.
///
/// # Warnings and errors
///
/// The code between the steps runs again at every replay, and must then do the same. Where it reads clocks, the environment
/// or files, draws random numbers, spawns, sleeps, selects, or sends HTTP requests without a step, there is a warning that
/// says what to write instead. It goes by names (`Utc::now`, `tokio::spawn`) and is not shown for what happens inside of
/// `async || ..`.
///
/// A step inside of a step, and two steps of one name in one `join!`, do not compile where that can be seen in the text.
#[proc_macro_attribute]
pub fn workflow(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(options.into(), item.into()).into()
}

/// Makes a type the data of an event, and says what the event is called. See the trait `workflow::Event`.
///
/// ```text
/// #[derive(Deserialize, Serialize, Event)]
/// #[event(id = "order-paid-{order_id}")]
/// struct OrderPaid {
///     order_id: u64,
///     cents: u64,
/// }
/// ```
///
/// Fields stand in braces by their name, or by their number where they have none; `{{` and `}}` are braces. They must implement
/// `Display`. The type gets the function `id`, with these fields as its parameters: `OrderPaid::id(7)`.
///
/// `crate = path` beside `id` names the crate `workflow` where it is not found as `::workflow`.
#[proc_macro_derive(Event, attributes(event))]
pub fn event(item: TokenStream) -> TokenStream {
    event::expand(item.into()).into()
}
