-- Version 4: what was asked for beside the files of a stack. Never edited after a release.

ALTER TABLE revision ADD COLUMN asked TEXT NOT NULL DEFAULT ''; -- JSON; empty: nothing
