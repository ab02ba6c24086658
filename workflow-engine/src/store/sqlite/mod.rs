//! The SQLite store: one file in WAL mode, synced at every commit.

mod dead_letters;
mod read;
mod write;

use std::{path::Path, time::Duration};

use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig, functions::FunctionFlags};

use super::{StoreError, Stored};
use crate::urls;

/// The version of the tables in `schema.sql`, kept in the file's `user_version`.
const SCHEMA_VERSION: i64 = 2;

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
        connection.pragma_update(None, "query_only", true)?;
        set_up(&connection)?;
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
        set_up(&connection)?;
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

/// What every connection needs.
fn set_up(connection: &Connection) -> Stored<()> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(128);
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Without it SQLite plans a prepared statement anew whenever a bound value might suggest another plan.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    let always_the_same = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("has_host", 2, always_the_same, |call| {
        Ok(urls::has_host(call.get_raw(0).as_str()?, call.get_raw(1).as_str()?))
    })?;
    connection.create_scalar_function("path_of", 1, always_the_same, |call| {
        Ok(urls::path_of(call.get_raw(0).as_str()?))
    })?;
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Reader, Store, conformance};

    #[test]
    fn a_store_in_memory_conforms() {
        conformance::check(|| Box::new(Sqlite::in_memory().unwrap()));
    }

    #[test]
    fn a_store_in_a_file_conforms() {
        let folder = tempfile::tempdir().unwrap();
        let count = std::cell::Cell::new(0);
        conformance::check(|| {
            count.set(count.get() + 1);
            Box::new(Sqlite::open(&folder.path().join(format!("{}.db", count.get()))).unwrap())
        });
    }

    /// Each of these, set wrongly, silently loses what was acknowledged, or costs a multiple of the time.
    #[test]
    fn a_commit_is_synced_to_disk() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(&folder.path().join("a.db")).unwrap();
        let pragma = |name: &str| {
            store.connection.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))
        };
        assert_eq!(pragma("journal_mode").unwrap(), "wal".to_owned().into());
        assert_eq!(pragma("synchronous").unwrap(), 2.into());
        assert_eq!(pragma("page_size").unwrap(), 8192.into());
        assert_eq!(pragma("wal_autocheckpoint").unwrap(), 1000.into());
    }

    #[test]
    fn a_reader_sees_what_is_committed_and_writes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let mut writer = Sqlite::open(&path).unwrap();
        let mut reader = Sqlite::open_reader(&path).unwrap();
        writer.begin().unwrap();
        writer.set_setting("s", "1").unwrap();
        assert_eq!(reader.setting("s").unwrap(), None);
        writer.commit().unwrap();
        assert_eq!(reader.setting("s").unwrap().as_deref(), Some("1"));
        assert!(reader.set_setting("s", "2").is_err());
        assert!(reader.run(1).unwrap().is_none());
    }

    #[test]
    fn what_is_no_store_of_this_version_is_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("text.db");
        std::fs::write(
            &text,
            "this is a text, and it is long enough to be read as a header of a page ".repeat(10),
        )
        .unwrap();
        assert!(Sqlite::open(&text).err().unwrap().message.contains("not a SQLite database"));

        let newer = folder.path().join("newer.db");
        Sqlite::open(&newer)
            .unwrap()
            .connection
            .pragma_update(None, "user_version", SCHEMA_VERSION + 1)
            .unwrap();
        assert!(Sqlite::open(&newer).err().unwrap().message.contains("version 3"));

        let nowhere = folder.path().join("no/such/folder.db");
        assert!(Sqlite::open(&nowhere).err().unwrap().message.contains("folder"));
    }
}
