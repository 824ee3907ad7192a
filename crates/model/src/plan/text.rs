//! Plans as text, for people and for golden files.
