//! Reading.

use rusqlite::{OptionalExtension, Row, params, params_from_iter, types::Value};
use workflow::client::{DlqFilter, RunFilter, RunState};

use super::Sqlite;
use crate::store::{
    Attempts, Awaited, DeadLetter, Delivery, DeliveryKind, Entry, Identity, Pinned, Reader, Run, RunKey,
    StoreError, Stored, StoredNotification, Waiter, position_of,
};

const RUN: &str = "SELECT key, id, state, created_at, finished_at, url, config, output, wake_at FROM runs";
const DELIVERY: &str = "SELECT id, run, position, due, attempt, errors, kind FROM deliveries";
const ENTRY: &str = "SELECT position, code, at, data FROM history";
const WAITER: &str = "SELECT id, event, deadline, child, run, step_id, detail FROM waiters";

impl Sqlite {
    /// Runs a query of several statements, all of which see the same state.
    pub fn at_one_moment<T>(&self, query: impl FnOnce(&dyn Reader) -> Stored<T>) -> Stored<T> {
        // Ends with its scope; there is nothing to be committed.
        let _moment = self.connection.unchecked_transaction()?;
        query(self)
    }

    pub(super) fn one<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl FnOnce(&Row<'_>) -> Stored<T>,
    ) -> Stored<Option<T>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        rows.next()?.map(read).transpose()
    }

    pub(super) fn many<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl Fn(&Row<'_>) -> Stored<T>,
    ) -> Stored<Vec<T>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let mut rows = statement.query(params)?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push(read(row)?);
        }
        Ok(all)
    }

    pub(super) fn find_delivery(&self, id: i64) -> Stored<Option<Delivery>> {
        self.one(&format!("{DELIVERY} WHERE id = ?1"), [id], delivery)
    }

    pub(super) fn find_due_deliveries(&self, after: i64, until: i64, limit: u32) -> Stored<Vec<Delivery>> {
        let sql = format!("{DELIVERY} WHERE due > ?1 AND due <= ?2 ORDER BY due, id LIMIT ?3");
        self.many(&sql, params![after, until, limit], delivery)
    }

    pub(super) fn find_oldest_waiter(&self, run: RunKey, event: &str) -> Stored<Option<Waiter>> {
        let sql = format!("{WAITER} WHERE run = ?1 AND event = ?2 ORDER BY id LIMIT 1");
        self.one(&sql, params![run, event], waiter)
    }

    pub(super) fn find_waiter_of_step(&self, run: RunKey, step_id: u32) -> Stored<Option<Waiter>> {
        self.one(&format!("{WAITER} WHERE run = ?1 AND step_id = ?2"), params![run, step_id], waiter)
    }

    pub(super) fn find_waiters_for_end(&self, of: RunKey) -> Stored<Vec<Waiter>> {
        self.many(&format!("{WAITER} WHERE child = ?1 ORDER BY id"), [of], waiter)
    }

    pub(super) fn find_due_waiters(&self, until: i64, limit: u32) -> Stored<Vec<Waiter>> {
        let sql = format!("{WAITER} WHERE deadline <= ?1 ORDER BY deadline, id LIMIT ?2");
        self.many(&sql, params![until, limit], waiter)
    }

    /// Keys of active runs that match, oldest first.
    pub(super) fn find_active(&self, filter: &RunFilter, limit: u32) -> Stored<Vec<RunKey>> {
        let mut query = Selection::of(filter);
        query.and("state = 0", []);
        let sql = format!("SELECT key FROM runs WHERE {} ORDER BY key LIMIT {limit}", query.conditions());
        self.many(&sql, params_from_iter(query.values), |row| Ok(row.get(0)?))
    }

    pub(super) fn find_entry(&self, run: RunKey, code: i64) -> Stored<Option<Entry>> {
        self.one(&format!("{ENTRY} WHERE run = ?1 AND code = ?2"), [run, code], entry)
    }

    pub(super) fn take_oldest_notification(
        &self,
        run: RunKey,
        event: &str,
    ) -> Stored<Option<StoredNotification>> {
        let sql = "DELETE FROM notifications WHERE id = (SELECT id FROM notifications WHERE run = ?1 AND event = ?2 \
                   ORDER BY id LIMIT 1) RETURNING data, is_request";
        self.one(sql, params![run, event], |row| {
            Ok(StoredNotification { data: row.get(0)?, is_request: row.get(1)? })
        })
    }

    pub(super) fn find_answer(&self, key: &str) -> Stored<Option<Vec<u8>>> {
        self.one("SELECT answer FROM answers WHERE key = ?1", [key], |row| Ok(row.get(0)?))
    }

    pub(super) fn find_setting(&self, name: &str) -> Stored<Option<String>> {
        self.one("SELECT value FROM settings WHERE name = ?1", [name], |row| Ok(row.get(0)?))
    }

    pub(super) fn find_all_pinned(&self) -> Stored<Vec<(String, Pinned)>> {
        self.many("SELECT paused, parallelism, rate, period, key FROM flow_controls", [], |row| {
            Ok((row.get(4)?, pinned(row)?))
        })
    }

    pub(super) fn find_pinned(&self, key: &str) -> Stored<Option<Pinned>> {
        self.one("SELECT paused, parallelism, rate, period FROM flow_controls WHERE key = ?1", [key], pinned)
    }

    pub(super) fn number(&self, sql: &str, params: impl rusqlite::Params) -> Stored<Option<i64>> {
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row(params, |row| row.get(0)).optional()?.flatten())
    }
}

impl Reader for Sqlite {
    fn run(&self, key: RunKey) -> Stored<Option<Run>> {
        self.one(&format!("{RUN} WHERE key = ?1"), [key], run)
    }

    fn run_by_id(&self, id: &str) -> Stored<Option<Run>> {
        self.one(&format!("{RUN} WHERE id = ?1 ORDER BY key DESC LIMIT 1"), [id], run)
    }

    fn history(&self, run: RunKey, up_to: i64) -> Stored<Vec<Entry>> {
        let sql = format!("{ENTRY} WHERE run = ?1 AND code >= 0 AND position <= ?2");
        let mut entries = self.many(&sql, [run, up_to], entry)?;
        entries.sort_unstable_by_key(|entry| entry.position);
        Ok(entries)
    }

    fn payload(&self, run: RunKey) -> Stored<Option<Vec<u8>>> {
        Ok(self.find_entry(run, Identity::Init.code())?.map(|entry| entry.data))
    }

    fn requests(&self, run: RunKey) -> Stored<Vec<Entry>> {
        let sql = format!("{ENTRY} WHERE run = ?1 AND code < 0 AND code % 2 = 0");
        let mut entries = self.many(&sql, [run], entry)?;
        entries.sort_unstable_by_key(|entry| entry.position);
        Ok(entries)
    }

    fn entry_at(&self, position: i64) -> Stored<Option<Entry>> {
        self.one(&format!("{ENTRY} WHERE position = ?1"), [position], entry)
    }

    fn attempts(&self, run: RunKey) -> Stored<Vec<Attempts>> {
        let sql = "SELECT step_id, count, due, errors, step_name FROM attempts WHERE run = ?1";
        self.many(sql, [run], |row| {
            Ok(Attempts {
                step_id: row.get(0)?,
                count: row.get(1)?,
                due: row.get(2)?,
                errors: row.get(3)?,
                step_name: row.get(4)?,
            })
        })
    }

    fn deliveries(&self, run: RunKey) -> Stored<Vec<Delivery>> {
        self.many(&format!("{DELIVERY} WHERE run = ?1 ORDER BY id"), [run], delivery)
    }

    fn waiters_of_run(&self, run: RunKey) -> Stored<Vec<Waiter>> {
        self.many(&format!("{WAITER} WHERE run = ?1 ORDER BY id"), [run], waiter)
    }

    fn waiters(&self, event: &str, limit: u32) -> Stored<Vec<Waiter>> {
        let sql = format!("{WAITER} WHERE event = ?1 ORDER BY id LIMIT ?2");
        self.many(&sql, params![event, limit], waiter)
    }

    fn list(&self, filter: &RunFilter, before: RunKey, limit: u32) -> Stored<Vec<Run>> {
        let mut query = Selection::of(filter);
        query.and("key < ?", [Value::Integer(before)]);
        let sql = format!("{RUN} WHERE {} ORDER BY key DESC LIMIT {limit}", query.conditions());
        self.many(&sql, params_from_iter(query.values), run)
    }

    fn dead_letter(&self, run: RunKey) -> Stored<Option<DeadLetter>> {
        self.dead_letter_of(run)
    }

    fn queued_dead_letter(&self, number: i64) -> Stored<Option<DeadLetter>> {
        self.dead_letter_number(number)
    }

    fn dead_letters(&self, filter: &DlqFilter, before: i64, limit: u32) -> Stored<Vec<DeadLetter>> {
        self.select_dead_letters(filter, before, limit)
    }
}

pub(super) fn state_code(state: RunState) -> i64 {
    match state {
        RunState::RunStarted => 0,
        RunState::RunSuccess => 1,
        RunState::RunFailed => 2,
        RunState::RunCanceled => 3,
    }
}

fn run(row: &Row<'_>) -> Stored<Run> {
    let state = match row.get(2)? {
        0 => RunState::RunStarted,
        1 => RunState::RunSuccess,
        2 => RunState::RunFailed,
        3 => RunState::RunCanceled,
        other => {
            let message = format!("a run has the unknown state {other}");
            return Err(StoreError { message, fatal: false });
        }
    };
    Ok(Run {
        key: row.get(0)?,
        id: row.get(1)?,
        state,
        created_at: row.get(3)?,
        finished_at: row.get(4)?,
        url: row.get(5)?,
        config: serde_json::from_str(row.get_ref(6)?.as_str().map_err(rusqlite::Error::from)?)?,
        output: row.get(7)?,
        wake_at: row.get(8)?,
    })
}

fn entry(row: &Row<'_>) -> Stored<Entry> {
    Ok(Entry { position: row.get(0)?, code: row.get(1)?, at: row.get(2)?, data: row.get(3)? })
}

fn delivery(row: &Row<'_>) -> Stored<Delivery> {
    let kind = row.get(6)?;
    let kind = DeliveryKind::of(kind).ok_or_else(|| StoreError {
        message: format!("a delivery has the unknown kind {kind}"),
        fatal: false,
    })?;
    Ok(Delivery {
        kind,
        id: row.get(0)?,
        run: row.get(1)?,
        position: row.get(2)?,
        due: row.get(3)?,
        attempt: row.get(4)?,
        errors: row.get(5)?,
    })
}

fn waiter(row: &Row<'_>) -> Stored<Waiter> {
    let event: Option<String> = row.get(1)?;
    let child: Option<RunKey> = row.get(3)?;
    let awaited = match (event, child) {
        (Some(id), _) => Awaited::Event { id, deadline: row.get(2)? },
        (None, Some(child)) => Awaited::End(child),
        (None, None) => Awaited::Answer,
    };
    Ok(Waiter {
        id: row.get(0)?,
        awaited,
        run: row.get(4)?,
        step_id: row.get(5)?,
        detail: serde_json::from_str(row.get_ref(6)?.as_str().map_err(rusqlite::Error::from)?)?,
    })
}

fn pinned(row: &Row<'_>) -> Stored<Pinned> {
    Ok(Pinned { paused: row.get(0)?, parallelism: row.get(1)?, rate: row.get(2)?, period: row.get(3)? })
}

/// Conditions of a `WHERE` clause and their values.
pub(super) struct Selection {
    conditions: Vec<String>,
    pub(super) values: Vec<Value>,
}

impl Default for Selection {
    fn default() -> Self {
        Self { conditions: vec!["1".to_owned()], values: Vec::new() }
    }
}

impl Selection {
    fn of(filter: &RunFilter) -> Self {
        let mut query = Self::default();
        query.any("id", filter.run_ids.iter().cloned().map(Value::Text));
        query.any("state", filter.states.iter().map(|state| Value::Integer(state_code(*state))));
        let runs = filter.runs.iter().map(|(id, at)| [Value::Text(id.clone()), Value::Integer(*at)]);
        query.either("(id = ? AND created_at = ?)", runs);
        let text = |values: &[String]| values.iter().cloned().map(Value::Text).collect::<Vec<_>>();
        if filter.exact_url {
            query.any("url", text(&filter.workflow_urls).into_iter());
        } else {
            let urls = filter.workflow_urls.iter().map(|url| [url.clone(), url.clone()].map(Value::Text));
            query.either("substr(url, 1, length(?)) = ?", urls);
        }
        query.either("has_host(url, ?)", text(&filter.hosts).into_iter().map(|host| [host]));
        query.any("path_of(url)", text(&filter.paths).into_iter());
        query.any("config ->> '$.flow_control.key'", text(&filter.flow_control_keys).into_iter());
        query.any("config ->> '$.caller_ip'", text(&filter.caller_ips).into_iter());
        // An id that no message can have is one of no run.
        let positions = filter.message_ids.iter().map(|id| [Value::Integer(position_of(id).unwrap_or(-1))]);
        query.either("EXISTS (SELECT 1 FROM history WHERE position = ? AND run = runs.key)", positions);
        query.labels(&filter.labels);
        for (condition, bound) in [
            ("created_at >= ?", filter.from),
            ("created_at <= ?", filter.to),
            ("created_at = ?", filter.created_at),
        ] {
            if let Some(bound) = bound {
                query.and(condition, [Value::Integer(bound)]);
            }
        }
        query
    }

    pub(super) fn labels(&mut self, labels: &[String]) {
        if !labels.is_empty() {
            let marks = vec!["?"; labels.len()].join(", ");
            let condition =
                format!("EXISTS (SELECT 1 FROM json_each(config, '$.labels') WHERE value IN ({marks}))");
            self.and(&condition, labels.iter().cloned().map(Value::Text));
        }
    }

    pub(super) fn and(&mut self, condition: &str, values: impl IntoIterator<Item = Value>) {
        self.conditions.push(condition.to_owned());
        self.values.extend(values);
    }

    pub(super) fn any(&mut self, column: &str, values: impl ExactSizeIterator<Item = Value>) {
        if values.len() > 0 {
            let marks = vec!["?"; values.len()].join(", ");
            self.and(&format!("{column} IN ({marks})"), values);
        }
    }

    /// The condition holds for one of these values.
    fn either<const N: usize>(&mut self, condition: &str, values: impl ExactSizeIterator<Item = [Value; N]>) {
        if values.len() > 0 {
            let conditions = vec![condition; values.len()].join(" OR ");
            self.and(&format!("({conditions})"), values.flatten());
        }
    }

    pub(super) fn conditions(&self) -> String {
        self.conditions.join(" AND ")
    }
}
