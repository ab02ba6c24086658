//! What a workflow is to the endpoint that runs it, and how its payload is read.

use std::{
    any::{Any, TypeId},
    fmt::Display,
    future::Future,
};

use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Error, FailedRun, WorkflowContext, WorkflowOptions, json};

/// A durable function. `#[workflow]` implements it for a type of the function's name; nobody implements it by hand.
#[diagnostic::on_unimplemented(
    message = "expected a function annotated with `#[workflow]`, found `{Self}`",
    label = "this is no workflow",
    note = "a workflow is named by its function: with `#[workflow] async fn process_order(..)` it is `process_order`"
)]
pub trait Workflow: 'static {
    /// The name of the function, or the one that its attribute gives it.
    const NAME: &'static str;
    /// Settings of all runs.
    const OPTIONS: WorkflowOptions = WorkflowOptions::new();
    /// What a run is triggered with. Decoded from JSON, but for `()` (anything), `String` (a JSON string or the text as it
    /// is) and `bytes::Bytes` (the bytes as they are); or read by the function that the attribute names with `parse`.
    type Payload: Send + Sync + 'static;
    /// The function's further parameters, as a tuple.
    type Args: Send;
    /// What the function returns.
    type Output: Serialize;

    /// Reads a payload, by the function that the attribute names with `parse` or else from JSON, and checks it by the one that
    /// is named with `validate`.
    ///
    /// # Errors
    /// Why it is no payload of this workflow.
    fn payload(body: &Bytes) -> Result<Self::Payload, PayloadError>;

    /// Calls the function.
    fn run(
        ctx: WorkflowContext<Self::Payload>,
        args: Self::Args,
    ) -> impl Future<Output = crate::Result<Self::Output>> + Send;

    /// Calls the failure function, if there is one ([`WorkflowOptions::handles_failure`]), and gives what it returned as JSON.
    fn failed(
        failed: FailedRun<Self::Payload>,
        args: Self::Args,
    ) -> impl Future<Output = crate::Result<String>> + Send;
}

/// A workflow as its function declares it: what `#[workflow]` implements, with the types as they stand in the signature.
///
/// What follows from these types is worked out in the implementation of [`Workflow`] below, once and for all, so that a wrong
/// type is told where it is bound here, and not again wherever something follows from it.
#[diagnostic::on_unimplemented(
    message = "expected a function annotated with `#[workflow]`, found `{Self}`",
    label = "this is no workflow",
    note = "a workflow is named by its function: with `#[workflow] async fn process_order(..)` it is `process_order`"
)]
pub trait WorkflowFn: 'static {
    /// See [`Workflow::NAME`].
    const NAME: &'static str;
    /// See [`Workflow::OPTIONS`].
    const OPTIONS: WorkflowOptions = WorkflowOptions::new();
    /// The type of the first parameter.
    type Context: ContextArg;
    /// The types of the further parameters, as a tuple.
    type Args: Send;
    /// The return type.
    type Return: ReturnType;

    /// Calls the function.
    fn call(ctx: Self::Context, args: Self::Args) -> impl Future<Output = Self::Return> + Send;

    /// Reads a payload: from JSON, unless the attribute names a function with `parse`, as in `parse = Order::from_xml` for a
    /// `fn(&[u8]) -> Result<Order, E>`, where `E` implements `Display`.
    ///
    /// # Errors
    /// Why it is none.
    fn parse(body: &Bytes) -> Result<PayloadOf<Self>, PayloadError> {
        Self::Context::decode(body)
    }

    /// Checks a payload that has been read, with the function that the attribute names with `validate`, as in
    /// `validate = Order::check` for a `fn(&Order) -> Result<(), E>`, where `E` implements `Display`. With the crate `garde` it
    /// is `garde::Validate::validate`.
    ///
    /// # Errors
    /// What is wrong with it.
    fn validate(payload: &PayloadOf<Self>) -> Result<(), PayloadError> {
        let _ = payload;
        Ok(())
    }

    /// Calls the failure function that the attribute names with `on_failure`, and gives what it returned as JSON. It takes a
    /// [`FailedRun`] of the payload, and then what the workflow takes after its context.
    fn failed(
        failed: FailedRun<PayloadOf<Self>>,
        args: Self::Args,
    ) -> impl Future<Output = crate::Result<String>> + Send {
        drop((failed, args));
        std::future::ready(Ok("null".to_owned()))
    }
}

/// The payload of a workflow, by the type of its context.
pub type PayloadOf<W> = <<W as WorkflowFn>::Context as ContextArg>::Payload;

impl<W: WorkflowFn> Workflow for W {
    const NAME: &'static str = W::NAME;
    const OPTIONS: WorkflowOptions = W::OPTIONS;
    type Payload = <W::Context as ContextArg>::Payload;
    type Args = W::Args;
    type Output = <W::Return as ReturnType>::Output;

    fn payload(body: &Bytes) -> Result<Self::Payload, PayloadError> {
        let payload = W::parse(body)?;
        W::validate(&payload)?;
        Ok(payload)
    }

    async fn run(ctx: WorkflowContext<Self::Payload>, args: Self::Args) -> crate::Result<Self::Output> {
        W::call(W::Context::from_context(ctx), args).await.into_result()
    }

    fn failed(
        failed: FailedRun<Self::Payload>,
        args: Self::Args,
    ) -> impl Future<Output = crate::Result<String>> + Send {
        <W as WorkflowFn>::failed(failed, args)
    }
}

/// Calls a failure function. For the code that `#[workflow]` writes.
pub fn failure_call<C: FailureCall>(call: C) -> impl Future<Output = C::Return> {
    call.future()
}

/// What a failure function returned, as JSON. For the code that `#[workflow]` writes.
///
/// # Errors
/// The function's own, and where its result cannot be turned into JSON.
pub fn failure_result<R: FailureReturn>(returned: R) -> crate::Result<String> {
    let output = returned.into_result()?;
    serde_json::to_string(&output).map_err(|error| {
        Error::non_retryable(format!(
            "what the failure function returned cannot be turned into JSON: {error}"
        ))
    })
}

/// What the call of a failure function gives: a future.
#[diagnostic::on_unimplemented(
    message = "a failure function is an `async fn`, but this one gives `{Self}` at once",
    label = "write `async` before the `fn` of this function"
)]
pub trait FailureCall {
    /// What the function returns.
    type Return;
    /// Its type.
    type Future: Future<Output = Self::Return>;

    /// The future itself.
    fn future(self) -> Self::Future;
}

#[diagnostic::do_not_recommend]
impl<F: Future> FailureCall for F {
    type Return = F::Output;
    type Future = F;

    fn future(self) -> F {
        self
    }
}

/// The return type of a failure function.
#[diagnostic::on_unimplemented(
    message = "a failure function returns `workflow::Result<R>`, not `{Self}`",
    label = "this function returns `{Self}`"
)]
pub trait FailureReturn {
    /// The type of the output.
    type Output: Serialize;

    /// This type as a result.
    fn into_result(self) -> crate::Result<Self::Output>;
}

impl<T: Serialize> FailureReturn for Result<T, Error> {
    type Output = T;

    fn into_result(self) -> Self {
        self
    }
}

/// The type of the first parameter of a workflow, which says what its payload is.
#[diagnostic::on_unimplemented(
    message = "the first parameter of a workflow is its context, not `{Self}`",
    label = "write `ctx: WorkflowContext<T>` here, where `T` is the type of the payload"
)]
pub trait ContextArg {
    /// The type of the payload.
    type Payload: Send + Sync + 'static;

    /// The context as this type.
    fn from_context(ctx: WorkflowContext<Self::Payload>) -> Self;

    /// Reads a payload where the attribute names no function for it.
    ///
    /// # Errors
    /// Why it is none.
    fn decode(body: &Bytes) -> Result<Self::Payload, PayloadError>;
}

impl<P: DeserializeOwned + Send + Sync + 'static> ContextArg for WorkflowContext<P> {
    type Payload = P;

    fn from_context(ctx: Self) -> Self {
        ctx
    }

    fn decode(body: &Bytes) -> Result<P, PayloadError> {
        decode_payload(body)
    }
}

/// The context of a workflow whose attribute names a function that reads the payload: nothing is asked of the payload's type.
pub struct Parsed<C>(pub C);

#[diagnostic::do_not_recommend]
impl<P: Send + Sync + 'static> ContextArg for Parsed<WorkflowContext<P>> {
    type Payload = P;

    fn from_context(ctx: WorkflowContext<P>) -> Self {
        Self(ctx)
    }

    /// Nobody calls it: where this stands, the attribute writes a `parse` of the workflow's own.
    fn decode(_: &Bytes) -> Result<P, PayloadError> {
        Err(PayloadError { text: "is read by a function of its own".to_owned(), malformed: false })
    }
}

/// The return type of a workflow, which says what its output is.
#[diagnostic::on_unimplemented(
    message = "a workflow returns `workflow::Result<T>`, not `{Self}`",
    label = "write `workflow::Result<T>` here, where `T` implements `serde::Serialize`"
)]
pub trait ReturnType {
    /// The type of the output.
    type Output: Serialize;

    /// This type as a result.
    fn into_result(self) -> crate::Result<Self::Output>;
}

impl<T: Serialize> ReturnType for Result<T, Error> {
    type Output = T;

    fn into_result(self) -> Self {
        self
    }
}

/// A payload that a workflow cannot take. The text goes on after "the payload".
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct PayloadError {
    text: String,
    /// Whether the payload is no JSON (or no text) at all.
    pub(crate) malformed: bool,
}

impl PayloadError {
    fn misfit(type_name: &str, reason: &dyn Display, malformed: bool) -> Self {
        Self { text: format!("does not fit `{type_name}`: {reason}"), malformed }
    }
}

/// What the function gave that the attribute names with `parse`. For the code that `#[workflow]` writes.
///
/// # Errors
/// Its own.
pub fn parsed<P, E: Display>(read: Result<P, E>) -> Result<P, PayloadError> {
    read.map_err(|reason| PayloadError { text: format!("cannot be read: {reason}"), malformed: false })
}

/// What the function gave that the attribute names with `validate`. For the code that `#[workflow]` writes.
///
/// # Errors
/// Its own.
pub fn validated<E: Display>(checked: Result<(), E>) -> Result<(), PayloadError> {
    checked.map_err(|reason| PayloadError { text: format!("is not valid: {reason}"), malformed: false })
}

/// Reads a payload. See [`Workflow::Payload`] for the special cases.
pub(crate) fn decode_payload<P: DeserializeOwned + 'static>(body: &Bytes) -> Result<P, PayloadError> {
    if let Some(raw) = decode_raw::<P>(body) {
        return raw;
    }
    let json: &[u8] = if body.is_empty() { b"null" } else { body };
    json::decode(json).or_else(|misfit| {
        let text = std::str::from_utf8(body).ok().filter(|_| misfit.malformed);
        // Text that is no JSON is a string, for types that take one, as in the other SDKs (protocol, section D.5).
        let as_text = text.and_then(|text| serde_json::from_value(text.into()).ok());
        as_text.ok_or_else(|| PayloadError::misfit(std::any::type_name::<P>(), &misfit, misfit.malformed))
    })
}

fn decode_raw<P: 'static>(body: &Bytes) -> Option<Result<P, PayloadError>> {
    let wanted = TypeId::of::<P>();
    let value: Box<dyn Any> = if wanted == TypeId::of::<()>() {
        Box::new(())
    } else if wanted == TypeId::of::<Bytes>() {
        Box::new(body.clone())
    } else if wanted == TypeId::of::<String>() {
        match text(body) {
            Ok(text) => Box::new(text),
            Err(error) => {
                return Some(Err(PayloadError::misfit("String", &error, true)));
            }
        }
    } else {
        return None;
    };
    value.downcast().ok().map(|value| Ok(*value))
}

fn text(body: &Bytes) -> Result<String, std::str::Utf8Error> {
    match serde_json::from_slice(body) {
        Ok(text) => Ok(text),
        Err(_) => std::str::from_utf8(body).map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Order {
        id: u64,
        items: Vec<Item>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Item {
        count: u32,
    }

    fn decode<P: DeserializeOwned + 'static>(body: &'static str) -> Result<P, PayloadError> {
        decode_payload(&Bytes::from_static(body.as_bytes()))
    }

    #[test]
    fn json_is_decoded_into_the_type() {
        let order: Order = decode(r#"{"id": 7, "items": [{"count": 2}]}"#).unwrap();
        assert_eq!(order, Order { id: 7, items: vec![Item { count: 2 }] });
        assert_eq!(decode::<Option<Order>>("").unwrap(), None);
    }

    #[test]
    fn a_misfit_names_field_and_type() {
        let error = decode::<Order>(r#"{"id": 7, "items": [{"count": 2}, {"count": "many"}]}"#).unwrap_err();
        let message = error.to_string();
        for part in ["Order`", "`items[1].count`", "expected u32"] {
            assert!(message.contains(part), "{part} in {message}");
        }
        assert!(!error.malformed);
        let error = decode::<Order>(r#"{"id": 7}"#).unwrap_err();
        assert!(error.to_string().contains("missing field `items`"), "{error}");
        assert!(!error.malformed);
    }

    #[test]
    fn what_is_no_json_is_malformed() {
        for body in ["{", "", "{\"id\":7,\"items\":[]} x"] {
            let error = decode::<Order>(body).unwrap_err();
            assert_eq!(error.malformed, !body.is_empty(), "{body}: {error}");
        }
    }

    #[test]
    fn text_comes_as_a_json_string_or_as_it_is() {
        assert_eq!(decode::<String>(r#""a\nb""#).unwrap(), "a\nb");
        assert_eq!(decode::<String>("a b").unwrap(), "a b");
        assert_eq!(decode::<String>("").unwrap(), "");
        assert_eq!(decode::<String>("{\"a\":1}").unwrap(), "{\"a\":1}");
        assert!(decode_payload::<String>(&Bytes::from_static(b"\xff")).unwrap_err().malformed);
    }

    #[test]
    fn text_that_is_no_json_is_a_string_for_types_that_take_one() {
        use serde_json::Value;
        assert_eq!(decode::<Value>("plain text").unwrap(), Value::from("plain text"));
        assert_eq!(decode::<Option<String>>("hello you").unwrap().as_deref(), Some("hello you"));
        assert_eq!(decode::<Value>("[1]").unwrap(), serde_json::json!([1]));
        assert!(decode_payload::<Value>(&Bytes::from_static(b"\xff")).unwrap_err().malformed);
    }

    #[test]
    fn bytes_and_unit_take_anything() {
        assert_eq!(decode_payload::<Bytes>(&Bytes::from_static(b"\xff\x00")).unwrap(), &b"\xff\x00"[..]);
        decode::<()>("{ nonsense").unwrap();
    }
}
