//! shim: see ARCHITECTURE.md.
