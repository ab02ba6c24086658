//! The SQLite store: one file in WAL mode, synced at every commit.

mod read;
mod write;

use std::{path::Path, time::Duration};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{StoreError, Stored};

/// The version of the tables in `schema.sql`, kept in the file's `user_version`.
const SCHEMA_VERSION: i64 = 1;

/// SQLite before this version can corrupt a database when a connection resets the WAL while another one writes.
const OLDEST_SAFE_SQLITE: i32 = 3_051_003;

/// A connection to a SQLite file: the writer's, or a reader's.
pub struct Sqlite {
    connection: Connection,
}

impl Sqlite {
    /// Opens or creates the file at `path` for writing.
    pub fn open(path: &Path) -> Stored<Self> {
        let connection =
            Connection::open(path).map_err(|error| open_error(&path.display().to_string(), &error))?;
        Self::prepare(connection, &path.display().to_string())
    }

    /// A store without a file; it is gone when the engine is dropped.
    pub fn in_memory() -> Stored<Self> {
        let connection = Connection::open_in_memory().map_err(|error| open_error("in memory", &error))?;
        Self::prepare(connection, "in memory")
    }

    /// Opens another connection to a file that [`Self::open`] has prepared, for reading only.
    pub fn open_reader(path: &Path) -> Stored<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)
            .map_err(|error| open_error(&path.display().to_string(), &error))?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "query_only", true)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(Self { connection })
    }

    fn prepare(connection: Connection, name: &str) -> Stored<Self> {
        if rusqlite::version_number() < OLDEST_SAFE_SQLITE {
            return Err(StoreError {
                message: format!(
                    "SQLite {} can corrupt a database; the engine needs 3.51.3 or newer (build rusqlite with `bundled`)",
                    rusqlite::version()
                ),
                fatal: true,
            });
        }
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.set_prepared_statement_cache_capacity(64);
        let version: i64 = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(|error| open_error(name, &error))?;
        if version == 0 {
            connection.pragma_update(None, "page_size", 8192)?;
        }
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "wal_autocheckpoint", 1000)?;
        connection.pragma_update(None, "journal_size_limit", 256 * 1024 * 1024)?;
        connection.pragma_update(None, "cache_size", -65_536)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        match version {
            0 => connection.execute_batch(&format!(
                "BEGIN;\n{}\nPRAGMA user_version = {SCHEMA_VERSION};\nCOMMIT;",
                include_str!("../schema.sql")
            ))?,
            SCHEMA_VERSION => {}
            other => {
                return Err(StoreError {
                    message: format!(
                        "{name} has tables of version {other}, this engine knows version {SCHEMA_VERSION}: open it with the \
                         engine that wrote it"
                    ),
                    fatal: true,
                });
            }
        }
        Ok(Self { connection })
    }
}

fn open_error(name: &str, error: &rusqlite::Error) -> StoreError {
    let hint = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => ": it is not a SQLite database",
        Some(ErrorCode::CannotOpen) => ": does its folder exist, and may it be written?",
        _ => "",
    };
    StoreError { message: format!("cannot open {name}: {error}{hint}"), fatal: true }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let (message, fatal) = match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => {
                ("the disk is full: free some space and try again".to_owned(), false)
            }
            Some(
                code @ (ErrorCode::SystemIoFailure | ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase),
            ) => (format!("{error} ({code:?}): the engine stops; restart it to recover"), true),
            _ => (error.to_string(), false),
        };
        Self { message, fatal }
    }
}

impl From<serde_json::Error> for StoreError {
    fn from(error: serde_json::Error) -> Self {
        Self { message: format!("a stored value cannot be read: {error}"), fatal: false }
    }
}
