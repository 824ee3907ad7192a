//! supervisor: see ARCHITECTURE.md.
