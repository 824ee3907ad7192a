-- Version 1. Never edited after a release: a change is a further migration in migrate.rs.

-- Numbers that never go back: `snapshot`, `revision/<stack>`.
CREATE TABLE counter (
    key   TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Last run number of each app; outlives its stack.
CREATE TABLE run (
    stack TEXT NOT NULL,
    app   TEXT NOT NULL,
    last  INTEGER NOT NULL,
    PRIMARY KEY (stack, app)
) STRICT, WITHOUT ROWID;

CREATE TABLE stack (
    name      TEXT PRIMARY KEY,
    active    INTEGER,
    candidate INTEGER,
    running   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE revision (
    stack    TEXT NOT NULL REFERENCES stack ON DELETE CASCADE,
    number   INTEGER NOT NULL,
    manifest BLOB NOT NULL, -- a path need not be UTF-8
    http     TEXT NOT NULL, -- JSON list of addresses
    text     TEXT NOT NULL,
    at_ms    INTEGER NOT NULL,
    PRIMARY KEY (stack, number)
) STRICT;

-- What an administrator asked of an app.
CREATE TABLE app (
    stack    TEXT NOT NULL REFERENCES stack ON DELETE CASCADE,
    app      TEXT NOT NULL,
    stopped  INTEGER NOT NULL DEFAULT 0,
    restarts INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (stack, app)
) STRICT, WITHOUT ROWID;

-- Steps begun and not finished.
CREATE TABLE journal (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    stack    TEXT NOT NULL REFERENCES stack ON DELETE CASCADE,
    revision INTEGER NOT NULL,
    step     TEXT NOT NULL
) STRICT;
CREATE INDEX journal_stack ON journal (stack);

CREATE TABLE transition (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    stack    TEXT NOT NULL,
    app      TEXT NOT NULL,
    instance TEXT NOT NULL,
    state    TEXT NOT NULL,
    reason   TEXT NOT NULL,
    at_ms    INTEGER NOT NULL
) STRICT;
CREATE INDEX transition_app ON transition (stack, app, id);
