-- From version 3 back to 2.

DROP TABLE task_run;
DROP TABLE task;
DROP TABLE scaled;
