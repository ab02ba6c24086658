//! Reading what is to be delivered to the app of this process.

use std::sync::Arc;

use workflow::{FlowControl, engine::App};

use super::{Dispatcher, flow_control::Permit};
use crate::{
    command::Due,
    error::EngineError,
    store::{Reader, RunKey, StoreError, Stored},
};

/// This much is read at once.
const GROUP: usize = 32;

/// What the app is called with.
pub(super) trait Load: Sized + Send + 'static {
    /// Reads it; `None` if there is nothing to be delivered any more.
    fn read(reader: &dyn Reader, run: RunKey) -> Stored<Option<Self>>;

    /// The limits that its delivery shares with others.
    fn limits(&self) -> Option<&FlowControl>;

    /// Delivers it.
    fn deliver(
        self,
        dispatcher: Arc<Dispatcher>,
        app: Arc<dyn App>,
        due: Due,
    ) -> impl Future<Output = ()> + Send + 'static;
}

/// Reads what is due, in groups, and starts its delivery.
pub(super) fn load<L: Load>(
    dispatcher: &Arc<Dispatcher>,
    app: &Arc<dyn App>,
    mut due: Vec<(Due, Option<Permit>)>,
) {
    while !due.is_empty() {
        let rest = due.split_off(due.len().min(GROUP));
        let group = std::mem::replace(&mut due, rest);
        dispatcher.runtime.spawn(load_group::<L>(Arc::clone(dispatcher), Arc::clone(app), group));
    }
}

async fn load_group<L: Load>(
    dispatcher: Arc<Dispatcher>,
    app: Arc<dyn App>,
    group: Vec<(Due, Option<Permit>)>,
) {
    let keys: Vec<RunKey> = group.iter().map(|(due, _)| due.run).collect();
    // One that cannot be read does not hold up the others.
    let loaded = dispatcher
        .readers
        .read(move |reader| Ok(keys.into_iter().map(|key| L::read(reader, key)).collect::<Vec<_>>()))
        .await;
    let loaded = match loaded {
        Ok(loaded) => loaded,
        // The next start makes them.
        Err(EngineError::Closed) => group.iter().map(|_| Ok(None)).collect(),
        Err(error) => {
            let error = StoreError { message: error.to_string(), fatal: false };
            group.iter().map(|_| Err(error.clone())).collect()
        }
    };
    for ((due, permit), loaded) in group.into_iter().zip(loaded) {
        match loaded {
            Ok(Some(loaded)) => dispatcher.start(&app, due, permit, loaded),
            Ok(None) => dispatcher.ended_in_process(due.id, due.run),
            Err(error) => {
                tracing::error!(%error, run = due.run, "a run that is due cannot be read");
                dispatcher.ended_in_process(due.id, due.run);
                dispatcher.again(due);
            }
        }
    }
    // Those that have to wait at their gate have given back their turn.
    dispatcher.pump();
}
