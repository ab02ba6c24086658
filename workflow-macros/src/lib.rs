//! The `#[workflow]` attribute, and the derive of `Event`. Use them through the crate `workflow`, which re-exports them.
//!
//! The steps are `options` and `parse` (what the user wrote), `validate` and `body` (every mistake at once, each with its
//! place) and `expand` (the code). Only this file touches `proc_macro`, so that tests call the rest directly.

mod body;
mod event;
mod expand;
mod expression;
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
/// | `label = "retail"`, `label = ["retail", "eu"]` | labels of all runs, to find them by |
/// | `crate = path` | where the crate `workflow` is, if not at `::workflow`, for instance because another crate re-exports it |
/// | `allow(nondeterminism)` | no warnings of what differs from replay to replay |
///
/// Retries, their delay and labels apply to runs that are started by a request to the workflow itself or by its type. What
/// such a trigger says itself comes first.
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
