//! Writing.

use rusqlite::params;
use workflow::client::{RunFilter, RunState};

use super::{Sqlite, read::state_code};
use crate::store::{
    Appended, Attempts, Awaited, Delivery, Identity, LastIds, NewDeadLetter, NewRun, Pinned, RunEnd, RunKey,
    Store, Stored, StoredNotification, ToldFailure, Waiter,
};

impl Sqlite {
    /// Runs a prepared statement and says how many rows it changed.
    pub(super) fn execute(&self, sql: &str, params: impl rusqlite::Params) -> Stored<usize> {
        Ok(self.connection.prepare_cached(sql)?.execute(params)?)
    }
}

impl Store for Sqlite {
    fn begin(&mut self) -> Stored<()> {
        self.execute("BEGIN IMMEDIATE", [])?;
        Ok(())
    }

    fn commit(&mut self) -> Stored<()> {
        self.execute("COMMIT", [])?;
        Ok(())
    }

    fn rollback(&mut self) {
        // Fails only where SQLite has rolled back by itself.
        let _ = self.execute("ROLLBACK", []);
    }

    fn insert_run(&mut self, run: &NewRun) -> Stored<RunKey> {
        let config = serde_json::to_string(&run.config)?;
        self.execute(
            "INSERT INTO runs (id, state, created_at, url, config) VALUES (?1, 0, ?2, ?3, ?4)",
            params![run.id, run.created_at, run.url, config],
        )?;
        Ok(self.connection.last_insert_rowid())
    }

    fn is_active(&mut self, key: RunKey) -> Stored<bool> {
        Ok(self.number("SELECT state FROM runs WHERE key = ?1", [key])? == Some(0))
    }

    fn set_wake_at(&mut self, key: RunKey, at: i64) -> Stored<()> {
        self.execute("UPDATE runs SET wake_at = ?2 WHERE key = ?1", [key, at])?;
        Ok(())
    }

    fn end_run(&mut self, key: RunKey, end: &RunEnd) -> Stored<()> {
        self.execute(
            "UPDATE runs SET state = ?2, finished_at = ?3, output = ?4 WHERE key = ?1",
            params![key, state_code(end.state), end.at, end.output],
        )?;
        self.execute("DELETE FROM deliveries WHERE run = ?1", [key])?;
        self.execute("DELETE FROM waiters WHERE run = ?1", [key])?;
        if end.state != RunState::RunFailed {
            self.execute("DELETE FROM notifications WHERE run = ?1", [key])?;
        }
        Ok(())
    }

    fn select_active(&mut self, filter: &RunFilter, limit: u32) -> Stored<Vec<RunKey>> {
        self.find_active(filter, limit)
    }

    fn append(&mut self, run: RunKey, identity: Identity, at: i64, data: &[u8]) -> Stored<Appended> {
        let changed = self.execute(
            "INSERT INTO history (run, code, at, data) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (run, code) DO NOTHING",
            params![run, identity.code(), at, data],
        )?;
        Ok(if changed == 0 { Appended::Duplicate } else { Appended::At(self.connection.last_insert_rowid()) })
    }

    fn entry(&mut self, run: RunKey, identity: Identity) -> Stored<Option<crate::store::Entry>> {
        self.find_entry(run, identity.code())
    }

    fn insert_delivery(&mut self, delivery: &Delivery) -> Stored<()> {
        self.execute(
            "INSERT INTO deliveries (id, run, position, due, attempt, errors, kind) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                delivery.id,
                delivery.run,
                delivery.position,
                delivery.due,
                delivery.attempt,
                delivery.errors,
                delivery.kind.code()
            ],
        )?;
        Ok(())
    }

    fn delivery(&mut self, id: i64) -> Stored<Option<Delivery>> {
        self.find_delivery(id)
    }

    fn remove_delivery(&mut self, id: i64) -> Stored<()> {
        self.execute("DELETE FROM deliveries WHERE id = ?1", [id])?;
        Ok(())
    }

    fn remove_deliveries(&mut self, run: RunKey) -> Stored<()> {
        self.execute("DELETE FROM deliveries WHERE run = ?1 AND kind = 0", [run])?;
        Ok(())
    }

    fn has_delivery(&mut self, run: RunKey) -> Stored<bool> {
        Ok(self.number("SELECT 1 FROM deliveries WHERE run = ?1 AND kind = 0 LIMIT 1", [run])?.is_some())
    }

    fn due_deliveries(&mut self, after: i64, until: i64, limit: u32) -> Stored<Vec<Delivery>> {
        self.find_due_deliveries(after, until, limit)
    }

    fn next_delivery_due(&mut self, after: i64) -> Stored<Option<i64>> {
        self.number("SELECT due FROM deliveries WHERE due > ?1 ORDER BY due LIMIT 1", [after])
    }

    fn last_ids(&mut self) -> Stored<LastIds> {
        Ok(LastIds {
            delivery: self.number("SELECT max(id) FROM deliveries", [])?.unwrap_or(0),
            waiter: self.number("SELECT max(id) FROM waiters", [])?.unwrap_or(0),
        })
    }

    fn insert_waiter(&mut self, waiter: &Waiter) -> Stored<()> {
        let (event, deadline, child) = match &waiter.awaited {
            Awaited::Event { id, deadline } => (Some(id), Some(deadline), None),
            Awaited::Answer => (None, None, None),
            Awaited::End(child) => (None, None, Some(child)),
        };
        self.execute(
            "INSERT INTO waiters (id, event, deadline, child, run, step_id, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![
                waiter.id,
                event,
                deadline,
                child,
                waiter.run,
                waiter.step_id,
                serde_json::to_string(&waiter.detail)?
            ],
        )?;
        Ok(())
    }

    fn oldest_waiter(&mut self, run: RunKey, event: &str) -> Stored<Option<Waiter>> {
        self.find_oldest_waiter(run, event)
    }

    fn waiter_of_step(&mut self, run: RunKey, step_id: u32) -> Stored<Option<Waiter>> {
        self.find_waiter_of_step(run, step_id)
    }

    fn waiters_for_end(&mut self, of: RunKey) -> Stored<Vec<Waiter>> {
        self.find_waiters_for_end(of)
    }

    fn count_waiters(&mut self, run: RunKey) -> Stored<u32> {
        let count = self.number("SELECT count(*) FROM waiters WHERE run = ?1", [run])?;
        Ok(count.and_then(|n| u32::try_from(n).ok()).unwrap_or(0))
    }

    fn remove_waiter(&mut self, id: i64) -> Stored<()> {
        self.execute("DELETE FROM waiters WHERE id = ?1", [id])?;
        Ok(())
    }

    fn due_waiters(&mut self, until: i64, limit: u32) -> Stored<Vec<Waiter>> {
        self.find_due_waiters(until, limit)
    }

    fn next_waiter_due(&mut self) -> Stored<Option<i64>> {
        self.number("SELECT deadline FROM waiters WHERE deadline IS NOT NULL ORDER BY deadline LIMIT 1", [])
    }

    fn store_notification(
        &mut self,
        run: RunKey,
        event: &str,
        notification: &StoredNotification,
    ) -> Stored<()> {
        self.execute(
            "INSERT INTO notifications (run, event, data, is_request) VALUES (?1, ?2, ?3, ?4)",
            params![run, event, notification.data, notification.is_request],
        )?;
        Ok(())
    }

    fn take_notification(&mut self, run: RunKey, event: &str) -> Stored<Option<StoredNotification>> {
        self.take_oldest_notification(run, event)
    }

    fn count_notifications(&mut self, run: RunKey) -> Stored<u32> {
        let count = self.number("SELECT count(*) FROM notifications WHERE run = ?1", [run])?;
        Ok(count.and_then(|n| u32::try_from(n).ok()).unwrap_or(0))
    }

    fn set_attempts(&mut self, run: RunKey, attempts: &Attempts) -> Stored<()> {
        self.execute(
            "INSERT OR REPLACE INTO attempts (run, step_id, count, due, step_name, errors) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![
                run,
                attempts.step_id,
                attempts.count,
                attempts.due,
                attempts.step_name,
                attempts.errors
            ],
        )?;
        Ok(())
    }

    fn clear_attempts(&mut self, run: RunKey, step_id: u32) -> Stored<()> {
        self.execute("DELETE FROM attempts WHERE run = ?1 AND step_id = ?2", params![run, step_id])?;
        Ok(())
    }

    fn hurry(&mut self, step_id: u32, at: i64) -> Stored<()> {
        self.execute(
            "UPDATE deliveries SET due = ?2 WHERE kind = 0 AND run IN (SELECT run FROM attempts WHERE step_id = ?1)",
            params![step_id, at],
        )?;
        Ok(())
    }

    fn insert_dead_letter(&mut self, letter: &NewDeadLetter) -> Stored<i64> {
        self.add_dead_letter(letter)
    }

    fn remove_dead_letter(&mut self, number: i64, successor: Option<RunKey>) -> Stored<()> {
        self.unqueue(number, successor)
    }

    fn set_callback(&mut self, number: i64, callback: Option<&ToldFailure>) -> Stored<()> {
        self.write_callback(number, callback)
    }

    fn answered(&mut self, key: &str) -> Stored<Option<Vec<u8>>> {
        self.find_answer(key)
    }

    fn remember_answer(&mut self, key: &str, at: i64, answer: &[u8]) -> Stored<()> {
        self.execute(
            "INSERT OR REPLACE INTO answers (key, at, answer) VALUES (?1, ?2, ?3)",
            params![key, at, answer],
        )?;
        Ok(())
    }

    fn forget_answers(&mut self, before: i64) -> Stored<()> {
        self.execute("DELETE FROM answers WHERE at < ?1", [before])?;
        Ok(())
    }

    fn all_pinned(&mut self) -> Stored<Vec<(String, Pinned)>> {
        self.find_all_pinned()
    }

    fn pinned(&mut self, key: &str) -> Stored<Pinned> {
        Ok(self.find_pinned(key)?.unwrap_or_default())
    }

    fn set_pinned(&mut self, key: &str, pinned: &Pinned) -> Stored<()> {
        if *pinned == Pinned::default() {
            self.execute("DELETE FROM flow_controls WHERE key = ?1", [key])?;
            return Ok(());
        }
        self.execute(
            "INSERT OR REPLACE INTO flow_controls (key, paused, parallelism, rate, period) VALUES (?1, ?2, ?3, ?4, ?5)",
            params![key, pinned.paused, pinned.parallelism, pinned.rate, pinned.period],
        )?;
        Ok(())
    }

    fn setting(&mut self, name: &str) -> Stored<Option<String>> {
        self.find_setting(name)
    }

    fn set_setting(&mut self, name: &str, value: &str) -> Stored<()> {
        self.execute("INSERT OR REPLACE INTO settings (name, value) VALUES (?1, ?2)", params![name, value])?;
        Ok(())
    }
}
