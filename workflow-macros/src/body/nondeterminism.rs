//! What gives something else on every replay, and what to write instead.

use proc_macro2::Ident;

/// A kind of call that does not belong between steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Clock,
    Stopwatch,
    Random,
    Id,
    Spawn,
    Sleep,
    Timeout,
    Interval,
    Select,
    Environment,
    File,
    Http,
    Trigger,
    Notify,
}

/// Functions, by full path. They are recognised by the ends of these paths, of two segments or more: `Utc::now`.
const FUNCTIONS: &[(Kind, &[&str])] = &[
    (
        Kind::Clock,
        &[
            "std::time::SystemTime::now",
            "chrono::Utc::now",
            "chrono::Local::now",
            "chrono::offset::Utc::now",
            "chrono::offset::Local::now",
            "jiff::Zoned::now",
            "jiff::Timestamp::now",
            "time::OffsetDateTime::now_utc",
            "time::OffsetDateTime::now_local",
            "time::UtcDateTime::now",
        ],
    ),
    (Kind::Stopwatch, &["std::time::Instant::now", "tokio::time::Instant::now"]),
    (
        Kind::Random,
        &[
            "rand::random",
            "rand::random_range",
            "rand::random_bool",
            "rand::random_iter",
            "rand::rng",
            "rand::thread_rng",
            "rand::rngs::StdRng::from_os_rng",
            "rand::rngs::StdRng::from_entropy",
            "rand::rngs::SmallRng::from_os_rng",
            "rand::rngs::SmallRng::from_entropy",
            "getrandom::fill",
            "getrandom::getrandom",
            "getrandom::u32",
            "getrandom::u64",
            "fastrand::*",
        ],
    ),
    (
        Kind::Id,
        &[
            "uuid::Uuid::new_v4",
            "uuid::Uuid::new_v7",
            "uuid::Uuid::now_v7",
            "uuid::Uuid::now_v6",
            "uuid::Uuid::now_v1",
            "ulid::Ulid::new",
            "ulid::Ulid::generate",
            "ulid::Ulid::from_datetime",
        ],
    ),
    (
        Kind::Spawn,
        &[
            "tokio::spawn",
            "tokio::task::spawn",
            "tokio::task::spawn_local",
            "tokio::task::spawn_blocking",
            "std::thread::spawn",
            "actix_rt::spawn",
            "actix_web::rt::spawn",
            "async_std::task::spawn",
            "smol::spawn",
        ],
    ),
    (
        Kind::Sleep,
        &[
            "tokio::time::sleep",
            "tokio::time::sleep_until",
            "std::thread::sleep",
            "actix_rt::time::sleep",
            "actix_web::rt::time::sleep",
            "async_std::task::sleep",
            "smol::Timer::after",
        ],
    ),
    (
        Kind::Timeout,
        &[
            "tokio::time::timeout",
            "tokio::time::timeout_at",
            "actix_rt::time::timeout",
            "actix_web::rt::time::timeout",
            "async_std::future::timeout",
        ],
    ),
    (
        Kind::Interval,
        &[
            "tokio::time::interval",
            "tokio::time::interval_at",
            "actix_rt::time::interval",
            "actix_web::rt::time::interval",
        ],
    ),
    (
        Kind::Select,
        &[
            "futures::future::select",
            "futures::future::select_all",
            "futures::future::select_ok",
            "futures_util::future::select",
            "futures_util::future::select_all",
            "futures_util::future::select_ok",
        ],
    ),
    (
        Kind::Environment,
        &[
            "std::env::var",
            "std::env::var_os",
            "std::env::vars",
            "std::env::vars_os",
            "std::env::args",
            "std::env::args_os",
            "std::env::current_dir",
            "dotenvy::var",
        ],
    ),
    (
        Kind::File,
        &[
            "std::fs::*",
            "std::fs::File::open",
            "std::fs::File::create",
            "tokio::fs::*",
            "tokio::fs::File::open",
            "tokio::fs::File::create",
        ],
    ),
    (
        Kind::Http,
        &[
            "reqwest::get",
            "reqwest::blocking::get",
            "ureq::get",
            "ureq::post",
            "ureq::put",
            "ureq::patch",
            "ureq::delete",
            "ureq::head",
            "ureq::request",
            "surf::get",
            "surf::post",
            "surf::put",
            "surf::patch",
            "surf::delete",
            "isahc::get",
            "isahc::get_async",
            "isahc::post",
            "isahc::post_async",
        ],
    ),
];

/// Macros, by full path. These are recognised by their name alone, too.
const MACROS: &[&str] = &[
    "tokio::select",
    "futures::select",
    "futures::select_biased",
    "futures_util::select",
    "futures_util::select_biased",
];

/// The methods of HTTP clients that begin a request. `.send()` ends it.
pub const HTTP_METHODS: &[&str] = &["get", "post", "put", "patch", "delete", "head", "request"];

/// The methods of a workflow client that change something, and whether they are a client's without its being named `client`.
const CLIENT_METHODS: &[(&str, Kind, bool)] = &[
    ("trigger", Kind::Trigger, false),
    ("trigger_url", Kind::Trigger, true),
    ("trigger_many", Kind::Trigger, true),
    ("notify", Kind::Notify, false),
    ("notify_event", Kind::Notify, false),
];

/// What a method means, if it is one of a workflow client.
pub fn kind_of_method(name: &Ident, of_client: bool) -> Option<Kind> {
    let (_, kind, ours) = CLIENT_METHODS.iter().find(|(method, ..)| name == method)?;
    (*ours || of_client).then_some(*kind)
}

/// What a path means, if it is one of those above.
pub fn kind_of(path: &[String], is_macro: bool) -> Option<Kind> {
    if is_macro {
        return MACROS.iter().any(|full| is_end(full, path)).then_some(Kind::Select);
    }
    // The name of a function alone may be a function of the user's own.
    if path.len() < 2 {
        return None;
    }
    FUNCTIONS.iter().find_map(|(kind, all)| all.iter().any(|full| is_end(full, path)).then_some(*kind))
}

/// Whether a full path ends with `path`. A `*` stands for any name in lower case: any function.
fn is_end(full: &str, path: &[String]) -> bool {
    let mut wanted = full.rsplit("::");
    path.iter().rev().all(|segment| match wanted.next() {
        Some("*") => segment.starts_with(|first: char| first.is_lowercase()),
        Some(wanted) => wanted == segment,
        None => false,
    })
}

impl Kind {
    /// What is wrong with `call`, and what to write instead in a workflow whose context is `ctx`.
    pub fn advice(self, call: &str, ctx: &str) -> String {
        let advice = match self {
            Self::Clock => format!(
                "`{call}` is another time whenever the run is replayed: read the clock in a step, \
                 `{ctx}.run(\"now\", async || Ok({call}())).await?`, or take `{ctx}.created_at()`"
            ),
            Self::Stopwatch => format!(
                "`{call}` means nothing after a restart: measure inside of a step, or read `SystemTime::now` in one, \
                 `{ctx}.run(\"now\", async || Ok(SystemTime::now())).await?`"
            ),
            Self::Random => format!(
                "`{call}` gives something else whenever the run is replayed: draw in a step, \
                 `{ctx}.run(\"draw\", async || Ok(..)).await?`"
            ),
            Self::Id => format!(
                "`{call}` gives another id whenever the run is replayed: make it in a step, \
                 `{ctx}.run(\"new id\", async || Ok({call}(..))).await?`, or build on `{ctx}.workflow_run_id()`"
            ),
            Self::Spawn => format!(
                "what `{call}` starts is no part of the run, and is started again whenever it is replayed: await steps \
                 together, `tokio::join!({ctx}.run(..), {ctx}.run(..))`, or do the work in a step, `{ctx}.run(\"name\", async || ..)`"
            ),
            Self::Sleep => format!(
                "`{call}` begins anew whenever the run is replayed: use the durable `{ctx}.sleep(\"name\", duration).await?`"
            ),
            Self::Timeout => format!(
                "`{call}` begins anew whenever the run is replayed: put it inside of a step, \
                 `{ctx}.run(\"name\", async || {call}(..))`, or use the timeout of `{ctx}.wait_for_event(..)`"
            ),
            Self::Interval => format!(
                "`{call}` begins anew whenever the run is replayed: sleep in a loop, \
                 `{ctx}.sleep(\"name\", period).await?`"
            ),
            Self::Select => format!(
                "which branch of `{call}` comes first may differ when the run is replayed: await all steps, \
                 `tokio::join!(..)`, race inside of one step, or use the timeout of `{ctx}.wait_for_event(..)`"
            ),
            Self::Environment => format!(
                "`{call}` may give something else when the run is replayed: read it in a step, \
                 `{ctx}.run(\"read settings\", async || ..)`, or at the start of the app and take it as state"
            ),
            Self::File => format!(
                "`{call}` is repeated whenever the run is replayed, and may give something else: use files in a step, \
                 `{ctx}.run(\"name\", async || ..).await?`"
            ),
            Self::Trigger => format!(
                "`{call}` is sent again whenever the run is replayed: send it in a step, \
                 `{ctx}.run(\"name\", async || Ok(client{call}(..).await?)).await?`, or await the other workflow as a step, \
                 `{ctx}.invoke::<..>(\"name\", payload).await?`"
            ),
            Self::Notify => format!(
                "`{call}` is sent again whenever the run is replayed: notify by a step, \
                 `{ctx}{call}(\"name\", ..).await?`"
            ),
            Self::Http => format!(
                "`{call}` is sent again whenever the run is replayed: send it in a step, \
                 `{ctx}.run(\"name\", async || ..).await?`"
            ),
        };
        format!("{advice} (to have it so: `#[workflow(allow(nondeterminism))]`)")
    }
}
