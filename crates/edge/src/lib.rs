//! edge: see ARCHITECTURE.md.
