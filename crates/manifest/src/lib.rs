//! manifest: see ARCHITECTURE.md.
