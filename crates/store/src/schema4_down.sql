-- From version 4 back to 3.

ALTER TABLE revision DROP COLUMN asked;
