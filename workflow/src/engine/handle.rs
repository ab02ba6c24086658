//! What an app is attached to: an engine, and what the app says of all its workflows.

use std::sync::Arc;

use super::{App, Embedded, HttpEngine};
use crate::{Client, Hooks, Workflow, client::Locations};

/// The engine that an app is attached to. Cheap to clone.
///
/// Adapters put it into the extensions of every request, where the mounted workflows find it.
#[derive(Clone)]
pub struct EngineHandle {
    kind: EngineKind,
    locations: Arc<Locations>,
    hooks: Option<Arc<dyn Hooks>>,
}

/// Which kind of engine it is.
#[derive(Clone)]
pub enum EngineKind {
    /// An engine in this process.
    Embedded(Arc<dyn Embedded>),
    /// An engine reached over the Upstash Workflow HTTP protocol.
    Http(HttpEngine),
}

impl EngineHandle {
    /// An engine in this process.
    pub fn embedded(engine: Arc<dyn Embedded>) -> Self {
        Self::of(EngineKind::Embedded(engine))
    }

    fn of(kind: EngineKind) -> Self {
        Self { kind, locations: Arc::default(), hooks: None }
    }

    /// Which kind of engine it is.
    pub fn kind(&self) -> &EngineKind {
        &self.kind
    }

    /// Tells where the workflows are that are mounted under their names, for [`client`](Self::client) and for workflows that
    /// invoke others. See [`Client::workflows_at`].
    pub fn workflows_at(mut self, prefix: impl AsRef<str>) -> Self {
        Arc::make_mut(&mut self.locations).set_prefix(prefix.as_ref());
        self
    }

    /// Tells where the workflow `W` is, if not where the others are. See [`Client::workflow_at`].
    pub fn workflow_at<W: Workflow>(mut self, url: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.locations).set::<W>(url.into());
        self
    }

    /// Tells these how the runs of the app go on. A second call replaces the first.
    pub fn hooks(mut self, hooks: impl Hooks) -> Self {
        self.hooks = Some(Arc::new(hooks));
        self
    }

    /// Where the app's workflows are, as far as it was told.
    pub(crate) fn locations(&self) -> Arc<Locations> {
        Arc::clone(&self.locations)
    }

    /// Who is told how runs go on.
    pub(crate) fn told(&self) -> Option<Arc<dyn Hooks>> {
        self.hooks.clone()
    }

    /// A client for this engine, which knows where the workflows are that this handle was told of.
    pub fn client(&self) -> Client {
        let client = match &self.kind {
            EngineKind::Embedded(engine) => engine.client(),
            EngineKind::Http(engine) => engine.client(),
        };
        client.with_locations(Arc::clone(&self.locations))
    }

    /// Tells the engine through which service it reaches the app's workflows. An engine over HTTP needs no such thing and
    /// ignores it.
    pub fn attach(&self, app: Arc<dyn App>) {
        if let EngineKind::Embedded(engine) = &self.kind {
            engine.attach(app);
        }
    }

    /// Hands over: no further delivery starts, running steps end, and everything that is left stays in the store for the
    /// next start. An engine over HTTP has nothing to hand over.
    pub async fn shutdown(&self) {
        if let EngineKind::Embedded(engine) = &self.kind {
            engine.shutdown().await;
        }
    }
}

impl From<HttpEngine> for EngineHandle {
    fn from(engine: HttpEngine) -> Self {
        Self::of(EngineKind::Http(engine))
    }
}

impl std::fmt::Debug for EngineHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match &self.kind {
            EngineKind::Embedded(_) => "EngineHandle(embedded)",
            EngineKind::Http(_) => "EngineHandle(http)",
        })
    }
}
