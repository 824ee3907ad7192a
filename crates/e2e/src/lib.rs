//! End-to-end tests over the real binary; all of them are in `tests/`, one file for each thing a user does.
