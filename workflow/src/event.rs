//! Events with a type: what they are called and what they carry belong together.
//!
//! Text names an event just as well; then nothing but care keeps the two sides to the same data.

use std::{
    fmt,
    hash::{Hash, Hasher},
    marker::PhantomData,
};

use serde::{Serialize, de::DeserializeOwned};

/// The data of an event, which also says what the event is called. Derived:
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use std::time::Duration;
/// use workflow::{Client, ClientError, Event, WaitResult, WorkflowContext, workflow};
///
/// #[derive(Deserialize, Serialize, Event)]
/// #[event(id = "order-paid-{order_id}")]
/// struct OrderPaid {
///     order_id: u64,
///     cents: u64,
/// }
///
/// #[workflow]
/// async fn sell(ctx: WorkflowContext<u64>) -> workflow::Result<u64> {
///     let day = Duration::from_secs(86_400);
///     match ctx.wait_for_event("payment", OrderPaid::id(ctx.request_payload()), day).await? {
///         WaitResult::Received(paid) => Ok(paid.cents),
///         WaitResult::TimedOut => Err(workflow::Error::non_retryable("not paid")),
///     }
/// }
///
/// async fn paid(client: &Client) -> Result<(), ClientError> {
///     client.notify_event(&OrderPaid { order_id: 7, cents: 995 }).await?;
///     Ok(())
/// }
///
/// assert_eq!(OrderPaid::id(7).as_str(), "order-paid-7");
/// ```
///
/// The derive adds the function `id`, with a parameter for each field in braces: a value or a reference, and for a `String` also
/// a `&str`. An id without braces is that of the one event of its type.
///
/// # Different values, different ids
///
/// Where the id has one field, its [`Display`](fmt::Display) stands in the id as it is, so that others can name the event
/// without this crate. Where it has several, what stands between them must have a character that is no letter and no digit;
/// in the fields such characters, and `%`, are written as `%` and their code: with `{a}-{b}`, the fields `x-y` and `z` make
/// `x%2Dy-z`. So the ids of two events of one type are the same only if these fields are. Let the ids of different types
/// begin differently.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no event",
    label = "this is no event",
    note = "add `#[derive(workflow::Event)] #[event(id = \"..\")]` to `{Self}`, or name the event by text"
)]
pub trait Event: Serialize + DeserializeOwned + 'static {
    /// The id of this event.
    fn event_id(&self) -> EventId<Self>;
}

/// The id of an event whose data is an `E`.
///
/// It does not turn into a `String` by itself, since it would lose its type: see [`as_str`](Self::as_str).
pub struct EventId<E> {
    id: String,
    event: PhantomData<fn() -> E>,
}

impl<E> EventId<E> {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.id
    }
}

impl<E> AsRef<str> for EventId<E> {
    fn as_ref(&self) -> &str {
        &self.id
    }
}

impl<E> fmt::Display for EventId<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
    }
}

impl<E> fmt::Debug for EventId<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventId({:?})", self.id)
    }
}

impl<E> Clone for EventId<E> {
    fn clone(&self) -> Self {
        Self { id: self.id.clone(), event: PhantomData }
    }
}

impl<E> PartialEq for EventId<E> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl<E> Eq for EventId<E> {}

impl<E> Hash for EventId<E> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

/// What an event with data of type `T` can be named by: text, or the [`EventId`] of a `T`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not name an event whose data is `{T}`",
    label = "expected text or an `EventId<{T}>`"
)]
pub trait EventName<T: ?Sized> {
    /// The event's id.
    fn into_event_id(self) -> String;
}

#[diagnostic::do_not_recommend]
impl<T: ?Sized, S: Into<String>> EventName<T> for S {
    fn into_event_id(self) -> String {
        self.into()
    }
}

impl<E: Event> EventName<E> for EventId<E> {
    fn into_event_id(self) -> String {
        self.id
    }
}

/// What can be a part of an event's id.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a part of an event's id, because it does not implement `Display`",
    label = "this has no `Display`",
    note = "implement `std::fmt::Display` for it, or take another field into the id"
)]
pub trait IdValue: fmt::Display {}

#[diagnostic::do_not_recommend]
impl<T: fmt::Display + ?Sized> IdValue for T {}

/// What can be given for the field of type `T` where an event's id is made.
#[diagnostic::on_unimplemented(
    message = "this part of the event's id is a `{T}`, not a `{Self}`",
    label = "expected a `{T}` or a reference to one"
)]
pub trait IdPart<T: ?Sized>: fmt::Display {}

impl<T: IdValue> IdPart<T> for T {}
impl<T: IdValue + ?Sized> IdPart<T> for &T {}
impl IdPart<String> for &str {}
impl<T: ?Sized> IdPart<T> for OwnPart<T> {}

/// The value of an event's own field, as a part of its id.
pub struct OwnPart<T: ?Sized> {
    text: String,
    of: PhantomData<fn(&T)>,
}

impl<T: ?Sized> fmt::Display for OwnPart<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Takes an event's own field into its id.
pub fn own_part<T: IdValue + ?Sized>(field: &T) -> OwnPart<T> {
    OwnPart { text: field.to_string(), of: PhantomData }
}

/// A piece of the template of an id.
pub enum Piece<'a> {
    /// Text, as it is.
    Text(&'a str),
    /// The value of a field.
    Value(&'a dyn fmt::Display),
}

/// Puts an id together. `separators` are the characters that tell its fields apart.
pub fn event_id<E>(separators: &str, pieces: &[Piece<'_>]) -> EventId<E> {
    let mut id = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => id.push_str(text),
            Piece::Value(value) if separators.is_empty() => id.push_str(&value.to_string()),
            Piece::Value(value) => push_escaped(&mut id, separators, &value.to_string()),
        }
    }
    EventId { id, event: PhantomData }
}

fn push_escaped(id: &mut String, separators: &str, value: &str) {
    for character in value.chars() {
        if character == '%' || separators.contains(character) {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                id.push_str(&format!("%{byte:02X}"));
            }
        } else {
            id.push(character);
        }
    }
}
