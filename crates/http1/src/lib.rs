//! http1: see ARCHITECTURE.md.
