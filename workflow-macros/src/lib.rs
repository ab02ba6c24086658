//! The `#[workflow]` attribute. Use it through the crate `workflow`, which re-exports it.
//!
//! The steps are `parse` (what the user wrote), `validate` (every mistake at once, each with its place) and `expand` (the
//! code). Only this file touches `proc_macro`, so that tests call the rest directly.

mod expand;
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
///
/// # Options
///
/// `#[workflow(crate = path)]` names the crate `workflow` where it is not found as `::workflow`, for instance because it is
/// re-exported by another crate.
#[proc_macro_attribute]
pub fn workflow(options: TokenStream, item: TokenStream) -> TokenStream {
    expand::expand(options.into(), item.into()).into()
}
