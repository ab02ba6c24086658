//! The dead letter queue.

use rusqlite::{Row, params, params_from_iter, types::Value};
use workflow::client::DlqFilter;

use super::{Sqlite, read::Selection};
use crate::store::{DeadLetter, NewDeadLetter, RunKey, Stored, ToldFailure};

const DEAD_LETTER: &str =
    "SELECT number, run, dead_letters.at, reason, failed, callback, queued, successor FROM dead_letters";

impl Sqlite {
    pub(super) fn add_dead_letter(&self, letter: &NewDeadLetter) -> Stored<i64> {
        let callback = letter.callback.as_ref().map(serde_json::to_string).transpose()?;
        self.execute(
            "INSERT INTO dead_letters (run, at, reason, failed, callback, queued) VALUES (?1, ?2, ?3, ?4, ?5, 1)",
            params![letter.run, letter.at, letter.reason, serde_json::to_string(&letter.failed)?, callback],
        )?;
        Ok(self.connection.last_insert_rowid())
    }

    pub(super) fn unqueue(&self, number: i64, successor: Option<RunKey>) -> Stored<()> {
        self.execute(
            "UPDATE dead_letters SET queued = 0, successor = ?2 WHERE number = ?1",
            params![number, successor],
        )?;
        const ITS: &str = "run = (SELECT run FROM dead_letters WHERE number = ?1)";
        match successor {
            Some(successor) => self.execute(
                &format!("UPDATE notifications SET run = ?2 WHERE {ITS}"),
                params![number, successor],
            )?,
            None => self.execute(&format!("DELETE FROM notifications WHERE {ITS}"), [number])?,
        };
        Ok(())
    }

    pub(super) fn write_callback(&self, number: i64, callback: Option<&ToldFailure>) -> Stored<()> {
        let callback = callback.map(serde_json::to_string).transpose()?;
        self.execute("UPDATE dead_letters SET callback = ?2 WHERE number = ?1", params![number, callback])?;
        Ok(())
    }

    pub(super) fn dead_letter_of(&self, run: RunKey) -> Stored<Option<DeadLetter>> {
        self.one(&format!("{DEAD_LETTER} WHERE run = ?1"), [run], dead_letter)
    }

    pub(super) fn dead_letter_number(&self, number: i64) -> Stored<Option<DeadLetter>> {
        self.one(&format!("{DEAD_LETTER} WHERE number = ?1 AND queued = 1"), [number], dead_letter)
    }

    pub(super) fn select_dead_letters(
        &self,
        filter: &DlqFilter,
        before: i64,
        limit: u32,
    ) -> Stored<Vec<DeadLetter>> {
        let mut query = selection(filter);
        query.and("number < ?", [Value::Integer(before)]);
        let sql = format!(
            "{DEAD_LETTER} JOIN runs ON runs.key = run WHERE queued = 1 AND {} ORDER BY number DESC LIMIT {limit}",
            query.conditions()
        );
        self.many(&sql, params_from_iter(query.values), dead_letter)
    }
}

fn selection(filter: &DlqFilter) -> Selection {
    let mut query = Selection::default();
    query.any("runs.id", filter.run_ids.iter().cloned().map(Value::Text));
    query.labels(&filter.labels);
    let states = filter.failure_function.iter().map(|state| Value::Text(state.as_str().to_owned()));
    query.any("json_extract(callback, '$.state')", states);
    if let Some(url) = &filter.workflow_url {
        query.and("url = ?", [Value::Text(url.clone())]);
    }
    if let Some(key) = &filter.flow_control_key {
        query.and("json_extract(config, '$.flow_control.key') = ?", [Value::Text(key.clone())]);
    }
    for (condition, bound) in [
        ("dead_letters.at >= ?", filter.from),
        ("dead_letters.at <= ?", filter.to),
        ("created_at = ?", filter.created_at),
        ("json_extract(failed, '$.answer.status') = ?", filter.response_status.map(i64::from)),
    ] {
        if let Some(bound) = bound {
            query.and(condition, [Value::Integer(bound)]);
        }
    }
    query
}

fn dead_letter(row: &Row<'_>) -> Stored<DeadLetter> {
    let failed: String = row.get(4)?;
    let callback: Option<String> = row.get(5)?;
    Ok(DeadLetter {
        number: row.get(0)?,
        run: row.get(1)?,
        at: row.get(2)?,
        reason: row.get(3)?,
        failed: serde_json::from_str(&failed)?,
        callback: callback.as_deref().map(serde_json::from_str).transpose()?,
        is_queued: row.get(6)?,
        successor: row.get(7)?,
    })
}
