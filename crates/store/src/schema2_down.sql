-- From version 2 back to 1.

DROP TABLE ban;
ALTER TABLE revision DROP COLUMN https;
