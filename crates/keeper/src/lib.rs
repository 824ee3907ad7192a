//! keeper: see ARCHITECTURE.md.
