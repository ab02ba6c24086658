//! Reading beside the writer.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    command::Transaction,
    error::EngineError,
    store::{Reader, Sqlite, StoreError, Stored},
    writer::{Command, Writer},
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
    idle: Mutex<Vec<Sqlite>>,
}

impl Readers {
    /// Reads from a file.
    pub fn of_file(path: PathBuf) -> Self {
        Self { source: Source::File(Arc::new(Pool { path, idle: Mutex::default() })) }
    }

    /// Reads through the writer.
    pub fn of_writer(writer: Writer) -> Self {
        Self { source: Source::Writer(writer) }
    }

    /// Runs a query off the async threads.
    pub async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&dyn Reader) -> Stored<T> + Send + 'static,
    ) -> Result<T, EngineError> {
        match &self.source {
            Source::Writer(writer) => writer.submit(Query(query)).await,
            Source::File(pool) => {
                let pool = Arc::clone(pool);
                let outcome = tokio::task::spawn_blocking(move || pool.read(query)).await;
                match outcome {
                    Ok(read) => Ok(read?),
                    Err(error) => {
                        Err(StoreError { message: format!("a query did not end: {error}"), fatal: false }
                            .into())
                    }
                }
            }
        }
    }
}

impl Pool {
    fn read<T>(&self, query: impl FnOnce(&dyn Reader) -> Stored<T>) -> Stored<T> {
        let idle = self.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => Sqlite::open_reader(&self.path)?,
        };
        let outcome = query(&connection);
        self.idle().push(connection);
        outcome
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Sqlite>> {
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
