-- Version 3: numbers of instances that an administrator asked for; tasks and their runs. Never edited after a release.

CREATE TABLE scaled (
    stack     TEXT NOT NULL REFERENCES stack ON DELETE CASCADE,
    app       TEXT NOT NULL,
    instances INTEGER NOT NULL,
    manifest  TEXT NOT NULL, -- what the manifest said when that was asked for
    PRIMARY KEY (stack, app)
) STRICT, WITHOUT ROWID;

CREATE TABLE task (
    stack      TEXT NOT NULL REFERENCES stack ON DELETE CASCADE,
    task       TEXT NOT NULL,
    schedule   TEXT NOT NULL,
    seen_ms    INTEGER NOT NULL, -- what was due until then is dealt with
    waiting_ms INTEGER,          -- when that run was due which waits for the former one to end
    PRIMARY KEY (stack, task)
) STRICT, WITHOUT ROWID;

-- What became of each time that a task was due.
CREATE TABLE task_run (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    stack    TEXT NOT NULL REFERENCES stack ON DELETE CASCADE,
    task     TEXT NOT NULL,
    spec     INTEGER NOT NULL, -- fingerprint of the instance, its bits
    due_ms   INTEGER,          -- none: somebody asked for it
    begun_ms INTEGER NOT NULL,
    ended_ms INTEGER,
    result   TEXT NOT NULL,
    detail   TEXT NOT NULL
) STRICT;
CREATE INDEX task_run_task ON task_run (stack, task, id);
