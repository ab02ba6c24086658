//! The bare limit: rows appended to SQLite with the engine's settings, each acknowledged after it is on disk, with one writer
//! thread that commits whatever has queued up. No workflow, no engine; nothing that keeps rows durably in SQLite is faster.

use std::{path::Path, sync::mpsc, time::Instant};

use tokio::sync::oneshot;

/// Rows per second with so many writers that each wait for their row before they write the next.
pub async fn rows_per_second(
    folder: &Path,
    writers: usize,
    rows: usize,
) -> Result<f64, Box<dyn std::error::Error + Send + Sync>> {
    let path = folder.join(format!("bare-{writers}.db"));
    let connection = rusqlite::Connection::open(&path)?;
    connection.pragma_update(None, "page_size", 8192)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "wal_autocheckpoint", 1000)?;
    connection.pragma_update(None, "cache_size", -65_536)?;
    connection.execute_batch(
        "CREATE TABLE history (position INTEGER PRIMARY KEY, run INTEGER NOT NULL, code INTEGER NOT NULL, data BLOB NOT NULL);
         CREATE UNIQUE INDEX history_run ON history (run, code);",
    )?;
    let (queue, queued) = mpsc::channel::<(i64, i64, oneshot::Sender<()>)>();
    let writer = std::thread::spawn(move || write(&connection, &queued));
    let started = Instant::now();
    let mut tasks = Vec::new();
    for run in 0..writers {
        let queue = queue.clone();
        tasks.push(tokio::spawn(async move {
            for code in 0..rows / writers {
                let (done, written) = oneshot::channel();
                if queue.send((run as i64, code as i64, done)).is_err() || written.await.is_err() {
                    return;
                }
            }
        }));
    }
    drop(queue);
    for task in tasks {
        task.await?;
    }
    let elapsed = started.elapsed();
    writer.join().map_err(|_| "the writer panicked")??;
    Ok((rows / writers * writers) as f64 / elapsed.as_secs_f64())
}

fn write(
    connection: &rusqlite::Connection,
    queued: &mpsc::Receiver<(i64, i64, oneshot::Sender<()>)>,
) -> rusqlite::Result<()> {
    let data = vec![b'x'; 100];
    while let Ok(first) = queued.recv() {
        let mut batch = vec![first];
        batch.extend(queued.try_iter().take(1023));
        connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for (run, code, _) in &batch {
            connection
                .prepare_cached("INSERT INTO history (run, code, data) VALUES (?1, ?2, ?3)")?
                .execute(rusqlite::params![run, code, data])?;
        }
        connection.prepare_cached("COMMIT")?.execute([])?;
        for (_, _, done) in batch {
            let _ = done.send(());
        }
    }
    Ok(())
}
