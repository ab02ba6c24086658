//! An endpoint that may be sent anything, and what must hold whatever that is.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::Router;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use serde_json::Value;
use workflow::{
    EngineHandle, WorkflowContext,
    endpoint::{Request, handle},
    engine::HttpEngine,
    protocol::StepDelivery,
    workflow,
};

use crate::Served;

/// The key that deliveries are signed with, where they are verified.
pub const KEY: &str = "sig_current";
/// When tests with signatures take place: milliseconds since the Unix epoch.
pub const NOW: i64 = 1_700_000_000_000;
/// Where the endpoint is.
pub const URL: &str = "http://app.test/target";

/// Only an endpoint that never answers is waited for so long.
const PATIENCE: Duration = Duration::from_secs(3);

/// The headers of a step delivery.
pub const STEP: [(&str, &str); 2] =
    [("upstash-workflow-sdk-version", "1"), ("upstash-workflow-runid", "wfr_1")];

/// An endpoint, and an engine that takes everything.
pub struct Target {
    engine: EngineHandle,
    sent: Arc<Mutex<Vec<(String, Bytes)>>>,
    /// What the engine gives as the log of a run.
    log: Arc<Mutex<Bytes>>,
    _served: Served,
}

/// What a request has led to.
#[derive(Debug)]
pub struct Seen {
    /// The answer.
    pub answer: Response<Bytes>,
    /// The steps whose bodies have run.
    pub ran: Vec<String>,
    /// Paths and bodies of the requests to the engine.
    pub sent: Vec<(String, Bytes)>,
}

/// The bodies that have run in one request.
#[derive(Clone, Default)]
pub struct Ran(Arc<Mutex<Vec<String>>>);

/// Steps alone, side by side, and of other kinds. Every body gives its step's name.
///
/// # Errors
/// Those of its steps.
#[workflow]
pub async fn target(ctx: WorkflowContext<Value>, ran: Ran) -> workflow::Result<()> {
    let step = async |name: &str| {
        let run = ctx.run(name, async || {
            ran.0.lock().expect("no body panics").push(name.to_owned());
            Ok(name.to_owned())
        });
        run.await.map(drop)
    };
    step("a").await?;
    let (b, c) = tokio::join!(step("b"), step("c"));
    b.and(c)?;
    ctx.sleep("d", Duration::from_secs(60)).await?;
    let (e, f, g) = tokio::join!(step("e"), ctx.sleep("f", Duration::from_secs(60)), async {
        ctx.wait_for_event::<Value>("g", "event", Duration::from_secs(60)).await.map(drop)
    },);
    e.and(f).and(g)?;
    step("h").await
}

impl Target {
    /// An endpoint that verifies deliveries if `verifies`.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start(verifies: bool) -> Self {
        let sent: Arc<Mutex<Vec<(String, Bytes)>>> = Arc::default();
        let keep = Arc::clone(&sent);
        let log: Arc<Mutex<Bytes>> = Arc::default();
        let given = Arc::clone(&log);
        let router = Router::new().fallback(async move |request: axum::extract::Request| {
            let path = request.uri().to_string();
            let fetches = request.method() == http::Method::GET;
            let body = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap_or_default();
            keep.lock().expect("no request panics").push((path, body));
            if fetches {
                given.lock().expect("no request panics").clone()
            } else {
                Bytes::from_static(b"[{\"messageId\":\"m\"}]")
            }
        });
        let served = Served::start(router).await;
        let mut engine = HttpEngine::new(served.url(), "token").expect("a loopback URL is one").clock(|| NOW);
        if verifies {
            engine = engine.signing_keys(KEY, "sig_next");
        }
        Self { engine: engine.into(), sent, log, _served: served }
    }

    /// Sends a request to the endpoint. Headers that HTTP does not allow are left out.
    ///
    /// # Panics
    /// If the endpoint does not answer as the protocol has it, or does what it must never do; see `Seen::check`.
    pub async fn send(&self, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Seen {
        self.exchange(headers, body.into(), Bytes::new()).await
    }

    /// Sends a delivery without a body, so that the endpoint fetches this log.
    ///
    /// # Panics
    /// As [`send`](Self::send).
    pub async fn send_lazily(&self, headers: &[(&str, &str)], log: impl Into<Bytes>) -> Seen {
        self.exchange(headers, Bytes::new(), log.into()).await
    }

    async fn exchange(&self, headers: &[(&str, &str)], body: Bytes, log: Bytes) -> Seen {
        self.log.lock().expect("no request panics").clone_from(&log);
        let headers: HeaderMap = headers
            .iter()
            .filter_map(|(name, value)| {
                Some((HeaderName::try_from(*name).ok()?, HeaderValue::from_bytes(value.as_bytes()).ok()?))
            })
            .collect();
        let ran = Ran::default();
        let request = Request {
            url: URL.to_owned(),
            headers: headers.clone(),
            body: body.clone(),
            engine: Some(self.engine.clone()),
            delivery: None,
        };
        let answer = tokio::time::timeout(PATIENCE, handle::<target>(request, (ran.clone(),))).await;
        let answer = answer.unwrap_or_else(|_| {
            panic!("no answer to {:?}", String::from_utf8_lossy(if body.is_empty() { &log } else { &body }))
        });
        let ran = std::mem::take(&mut *ran.0.lock().expect("no body panics"));
        let sent = std::mem::take(&mut *self.sent.lock().expect("no request panics"));
        let seen = Seen { answer, ran, sent };
        if body.is_empty() {
            let delivered = headers.get("upstash-message-id").and_then(|id| id.to_str().ok());
            seen.check(&log, delivered);
        } else {
            seen.check(&body, None);
        }
        seen
    }
}

impl Seen {
    /// The `message` or `error` of the answer, whichever is there.
    pub fn message(&self) -> String {
        let body: Value = serde_json::from_slice(self.answer.body()).unwrap_or_default();
        let text = body.get("message").or(body.get("error")).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    }

    /// What must hold whatever was sent: the answer is one of the protocol; at most one body has run, and none of a step that
    /// the log records; what was submitted is what has run, under its own name.
    fn check(&self, log: &[u8], delivered: Option<&str>) {
        let status = self.answer.status().as_u16();
        assert!(matches!(status, 200 | 400 | 401 | 422 | 429 | 489 | 500), "{self:?}");
        assert_eq!(self.answer.headers()["upstash-workflow-sdk-version"], "1");
        assert!(
            serde_json::from_slice::<Value>(self.answer.body()).is_ok_and(|body| body.is_object()),
            "{self:?}"
        );
        assert_eq!(
            status == 489,
            self.answer.headers().contains_key("upstash-nonretryable-error"),
            "{self:?}"
        );

        assert!(self.ran.len() <= 1, "more than one step has run: {self:?}");
        let recorded = Recorded::read(log, delivered);
        for name in &self.ran {
            assert!(!recorded.names.contains(name), "`{name}` is recorded, and has run: {self:?}");
        }
        for (_, sent) in &self.sent {
            for step in submitted(sent) {
                if let Some(out) = step["out"].as_str() {
                    let place = step["stepId"].as_u64().unwrap_or_default();
                    assert!(!recorded.later.contains(&place), "place {place} is taken: {self:?}");
                    assert_eq!(serde_json::from_str::<Value>(out).ok(), Some(step["stepName"].clone()));
                    assert_eq!(self.ran, [step["stepName"].as_str().unwrap_or_default()], "{self:?}");
                }
            }
        }
    }
}

/// What a log records.
struct Recorded {
    /// The names of the steps up to the delivered message.
    names: HashSet<String>,
    /// The places that are taken by what comes after it. The names there are not the endpoint's to know.
    later: HashSet<u64>,
}

impl Recorded {
    /// Reads as somebody who trusts nothing: of entries for one place the first one counts, and a name only where a step of
    /// that name can be.
    fn read(log: &[u8], delivered: Option<&str>) -> Self {
        let entries = serde_json::from_slice::<Vec<Value>>(log).unwrap_or_default();
        let last = entries.iter().position(|entry| delivered.is_some_and(|id| entry["messageId"] == id));
        let (known, later) = entries.split_at(last.map_or(entries.len(), |last| last + 1));
        let mut places = HashSet::new();
        let names = results(known.iter().skip(1))
            .filter(|(id, _)| places.insert(*id))
            .filter(|(id, name)| match name.as_str() {
                "a" => *id == 1,
                "b" | "c" => (2..=3).contains(id),
                "e" => (5..=7).contains(id),
                "h" => *id == 8,
                _ => false,
            })
            .map(|(_, name)| name)
            .collect();
        Self { names, later: results(later.iter()).map(|(id, _)| id).collect() }
    }
}

/// The places and names of the steps that are recorded, not only announced.
fn results<'a>(entries: impl Iterator<Item = &'a Value>) -> impl Iterator<Item = (u64, String)> {
    entries
        .filter(|entry| entry["callType"].as_str().is_none_or(|kind| kind == "step"))
        .filter_map(|entry| STANDARD.decode(entry["body"].as_str()?).ok())
        .filter_map(|step| serde_json::from_slice::<Value>(&step).ok())
        .filter_map(|step| {
            Some((step["stepId"].as_u64().filter(|id| *id > 0)?, step["stepName"].as_str()?.to_owned()))
        })
}

/// The steps of a batch.
fn submitted(batch: &[u8]) -> Vec<Value> {
    let messages = serde_json::from_slice::<Vec<Value>>(batch).unwrap_or_default();
    messages.iter().filter_map(|message| serde_json::from_str(message["body"].as_str()?).ok()).collect()
}

/// Reads a body in every way in which a delivery is read. For fuzzing.
pub fn decode(body: &[u8]) {
    if let Ok(delivery) = StepDelivery::decode(body) {
        assert!(delivery.later.is_empty(), "a whole log has nothing later");
        let again = StepDelivery::decode_until(body, &delivery.message_id);
        assert!(again.is_ok(), "the last message is in the log: {again:?}");
    }
    if let Ok(delivery) = StepDelivery::decode_until(body, "m") {
        let _ = delivery.is_done();
    }
}

/// Sends any bytes as a delivery of the kind that the first byte says. For fuzzing.
pub async fn deliver(target: &Target, bytes: &[u8]) {
    let (kind, body) = bytes.split_first().map_or((0, bytes), |(kind, body)| (*kind, body));
    let run = ("upstash-workflow-runid", "wfr_1");
    let version = ("upstash-workflow-sdk-version", "1");
    let callback = [
        run,
        ("upstash-workflow-callback", "true"),
        ("upstash-workflow-stepid", "1"),
        ("upstash-workflow-stepname", "a"),
        ("upstash-workflow-steptype", "Call"),
        ("upstash-workflow-concurrent", "1"),
        ("upstash-workflow-contenttype", "text/plain"),
    ];
    let headers: &[(&str, &str)] = match kind % 6 {
        0 => &[run, version],
        1 => &[run, version, ("upstash-message-id", "m")],
        2 => &callback,
        3 => &[run, ("upstash-workflow-failure-callback", "true")],
        4 => &[run, ("upstash-workflow-unknown-sdk", "true")],
        _ => &[],
    };
    let unchecked = Bytes::copy_from_slice(body);
    target.send(headers, unchecked).await;
}
