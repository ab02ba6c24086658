//! Reading beside the writer.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    command::{Command, Transaction},
    error::EngineError,
    store::{Reader, Sqlite, StoreError, Stored},
    writer::Writer,
};

/// Runs queries: on connections of their own where the store is a file, on the writer's thread where it is in memory.
#[derive(Clone)]
pub struct Readers {
    source: Source,
}

#[derive(Clone)]
enum Source {
    File(Arc<Pool>),
    Writer(Writer),
}

/// Connections that are not in use. More are opened as needed: as many as queries run at once.
struct Pool {
    path: PathBuf,
    /// `None` once closed.
    idle: Mutex<Option<Vec<Sqlite>>>,
}

impl Readers {
    /// Reads from a file.
    pub fn of_file(path: PathBuf) -> Self {
        Self { source: Source::File(Arc::new(Pool { path, idle: Mutex::new(Some(Vec::new())) })) }
    }

    /// Reads through the writer.
    pub fn of_writer(writer: Writer) -> Self {
        Self { source: Source::Writer(writer) }
    }

    /// Lets go of the file; queries are answered with [`EngineError::Closed`] from now on. Those of a store in memory end with
    /// its writer.
    pub fn close(&self) {
        if let Source::File(pool) = &self.source {
            drop(pool.idle().take());
        }
    }

    /// Runs a query off the async threads.
    ///
    /// # Errors
    /// [`EngineError::Closed`] after the shutdown, and if the store fails.
    pub async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&dyn Reader) -> Stored<T> + Send + 'static,
    ) -> Result<T, EngineError> {
        match &self.source {
            Source::Writer(writer) => writer.submit(Query(query)).await,
            Source::File(pool) => {
                let pool = Arc::clone(pool);
                let outcome = tokio::task::spawn_blocking(move || pool.read(query)).await;
                outcome.unwrap_or_else(|error| {
                    Err(StoreError { message: format!("a query did not end: {error}"), fatal: false }.into())
                })
            }
        }
    }
}

impl Pool {
    fn read<T>(&self, query: impl FnOnce(&dyn Reader) -> Stored<T>) -> Result<T, EngineError> {
        let idle = self.idle().as_mut().map(Vec::pop).ok_or(EngineError::Closed)?;
        let connection = match idle {
            Some(connection) => connection,
            None => Sqlite::open_reader(&self.path)?,
        };
        let outcome = connection.at_one_moment(query);
        if let Some(idle) = &mut *self.idle() {
            idle.push(connection);
        }
        Ok(outcome?)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Option<Vec<Sqlite>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A query on the writer's thread.
struct Query<F>(F);

impl<T: Send + 'static, F: FnOnce(&dyn Reader) -> Stored<T> + Send + 'static> Command for Query<F> {
    type Reply = T;

    fn apply(self, tx: &mut Transaction<'_>) -> Result<T, EngineError> {
        let reader: &dyn Reader = tx.store;
        Ok((self.0)(reader)?)
    }
}
