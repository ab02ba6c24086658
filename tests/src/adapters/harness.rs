//! What an adapter's tests bring along.

use std::net::TcpListener;

use workflow::EngineHandle;

use crate::Probe;

/// The header that the app's middleware refuses with [`REFUSED`].
pub const REFUSES: &str = "x-refuse";

/// The status with which it does.
pub const REFUSED: u16 = 418;

/// An app of a framework, being served. It has
///
/// * `GET /hello`: a plain route that answers `hello`;
/// * `/echo` and `/nested/deep/echo`: the workflow [`echo`](super::echo), mounted as the framework's users would, the second
///   time in whatever the framework has for nesting;
/// * `/many/{workflow}`: the workflows [`echo`](super::echo) and `play` below, mounted together with `serve_many`;
/// * `/hooks/{run}/{webhook}`: the webhooks of an embedded engine;
/// * `/play`: a workflow whose further parameters are the [`Probe`] as application state, and an extractor of the app's
///   own that asks [`caller`] with the header `x-caller`. It calls [`play`](super::play) with them;
/// * around all of them a middleware that answers [`REFUSED`] to any request with the header [`REFUSES`].
pub trait Harness: Sized + Send + 'static {
    /// Serves the app, attached to the engine if there is one, as in production: on more than one thread.
    fn serve(
        listener: TcpListener,
        engine: Option<EngineHandle>,
        probe: Probe,
    ) -> impl Future<Output = Self> + Send;

    /// Ends the server as a signal would: open requests are answered, new ones are not taken.
    fn stop(self) -> impl Future<Output = ()> + Send;
}

/// What the extractor answers where it rejects.
#[derive(Debug)]
pub struct Rejection {
    /// The status.
    pub status: u16,
    /// The header `www-authenticate`.
    pub challenge: &'static str,
    /// The body.
    pub body: &'static str,
}

/// What the extractor makes of the header `x-caller`. It rejects a request without one. A name that begins with `busy` is
/// rejected when it is first seen; at one that begins with `clumsy` it then panics. Names are places of the probe.
///
/// # Errors
/// What to answer.
///
/// # Panics
/// See above.
pub fn caller(header: Option<&str>, probe: &Probe) -> Result<String, Rejection> {
    let Some(caller) = header else {
        return Err(Rejection { status: 401, challenge: "Suite", body: "who are you?" });
    };
    if probe.pass(caller) == 1 {
        if caller.starts_with("busy") {
            return Err(Rejection { status: 503, challenge: "Suite", body: "not now" });
        }
        assert!(!caller.starts_with("clumsy"), "the extractor stumbled");
    }
    Ok(caller.to_owned())
}
