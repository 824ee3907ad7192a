-- Version 2: HTTPS and bans. Never edited after a release.

ALTER TABLE revision ADD COLUMN https TEXT NOT NULL DEFAULT '[]'; -- JSON list of addresses

-- Addresses that are refused for a while.
CREATE TABLE ban (
    net      TEXT PRIMARY KEY,
    until_ms INTEGER NOT NULL,
    reason   TEXT NOT NULL
) STRICT, WITHOUT ROWID;
