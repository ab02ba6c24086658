-- Times are milliseconds since the Unix epoch. `run` is the integer key of a run everywhere: rows of one table are appended in
-- the order in which things happen, whichever run they belong to, so that a commit touches few pages.

CREATE TABLE runs (
    key         INTEGER PRIMARY KEY,
    id          TEXT    NOT NULL,             -- wfr_…; unique among active runs, may come again after a run has ended
    state       INTEGER NOT NULL,             -- 0 started, 1 success, 2 failed, 3 canceled
    created_at  INTEGER NOT NULL,
    finished_at INTEGER,
    wake_at     INTEGER NOT NULL DEFAULT 0,   -- while parked: not to be called before
    url         TEXT    NOT NULL,             -- a path where the app of this process serves the workflow
    config      TEXT    NOT NULL,             -- what it was triggered with, as JSON
    output      TEXT                          -- what it returned as JSON, or why it failed
);
CREATE INDEX runs_id ON runs (id);

CREATE TABLE history (
    position INTEGER PRIMARY KEY,             -- order of all entries; the message id is made of it
    run      INTEGER NOT NULL,
    code     INTEGER NOT NULL,                -- 0 payload, 2n result of step n, 2n+1 plan of step n, -2n what step n has asked
                                              -- the engine to do, -2n-1 what it was answered (endpoints over HTTP)
    at       INTEGER NOT NULL,
    data     BLOB    NOT NULL                 -- payload, else the step object, request or answer as JSON
);
CREATE UNIQUE INDEX history_run ON history (run, code);

CREATE TABLE deliveries (
    id       INTEGER PRIMARY KEY,
    kind     INTEGER NOT NULL,                -- 0 the run goes on, 1 a call, 2 the result of a call, 3 the run has failed
    run      INTEGER NOT NULL,
    position INTEGER NOT NULL,                -- the history entry delivered, or asking; 0: the run as a whole, in process
    due      INTEGER NOT NULL,
    attempt  INTEGER NOT NULL DEFAULT 0,
    errors   TEXT
);
CREATE INDEX deliveries_due ON deliveries (due);
CREATE INDEX deliveries_run ON deliveries (run);

CREATE TABLE waiters (                        -- steps that wait for an event, for the end of a run, or (neither) for an answer
    id       INTEGER PRIMARY KEY,
    event    TEXT,
    deadline INTEGER,                         -- of a wait for an event
    child    INTEGER,                         -- the run whose end is waited for
    run      INTEGER NOT NULL,
    step_id  INTEGER NOT NULL,
    detail   TEXT    NOT NULL
);
CREATE INDEX waiters_event ON waiters (event, id) WHERE event IS NOT NULL;
CREATE INDEX waiters_deadline ON waiters (deadline) WHERE deadline IS NOT NULL;
CREATE INDEX waiters_child ON waiters (child, id) WHERE child IS NOT NULL;
CREATE INDEX waiters_run ON waiters (run);

CREATE TABLE notifications (                  -- stored for lookback, first in first out
    id    INTEGER PRIMARY KEY,
    run   INTEGER NOT NULL,
    event TEXT    NOT NULL,
    data  BLOB    NOT NULL,
    is_request INTEGER NOT NULL               -- 1: a call of a webhook, as JSON
);
CREATE INDEX notifications_run ON notifications (run, event, id);

CREATE TABLE attempts (                       -- failed attempts of runs of this process
    run       INTEGER NOT NULL,
    step_id   INTEGER NOT NULL,
    count     INTEGER NOT NULL,
    due       INTEGER NOT NULL,
    step_name TEXT,
    errors    TEXT    NOT NULL,
    PRIMARY KEY (run, step_id)
) WITHOUT ROWID;

CREATE TABLE dead_letters (                   -- runs that have failed
    number    INTEGER PRIMARY KEY AUTOINCREMENT,
    run       INTEGER NOT NULL UNIQUE,
    at        INTEGER NOT NULL,
    reason    TEXT    NOT NULL,
    failed    TEXT    NOT NULL,               -- what failed it, as JSON
    callback  TEXT,                           -- what became of telling it, as JSON
    queued    INTEGER NOT NULL,               -- 0: deleted, resumed or restarted
    successor INTEGER                         -- where it was resumed: the run that goes on for it
);
CREATE INDEX dead_letters_queued ON dead_letters (number) WHERE queued = 1;

CREATE TABLE answers (                        -- what was answered to requests with a de-duplication id
    key    TEXT PRIMARY KEY,
    at     INTEGER NOT NULL,
    answer BLOB    NOT NULL
) WITHOUT ROWID;
CREATE INDEX answers_at ON answers (at);

CREATE TABLE flow_controls (                  -- what was pinned or paused by hand; counts are in memory
    key         TEXT    PRIMARY KEY,
    paused      INTEGER NOT NULL,
    parallelism INTEGER,
    rate        INTEGER,
    period      INTEGER NOT NULL              -- of the rate, in milliseconds
) WITHOUT ROWID;

CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
