//! `mainstay.toml`, or what stands in its place (compose files): read, interpolated, checked, and handed on as a valid [`StackSpec`]. All that is wrong is said at
//! once, each thing with its place in the file and what to do about it.
//!
//! ```text
//! text ──toml_edit──▶ tree::Node ──interpolate──▶ tree::Node ──shape──▶ file::ManifestFile ──validate──▶ StackSpec
//!         spans                    string leaves              schema     as written            valid
//! compose files ──import──▶ tree::Node ───────────────────────▲
//! ```
//! Every step reports into one `diagnostic::Report` and goes on with what is left. Invariants: a `StackSpec` comes out only
//! without an error; no text in, whatever it is, makes this crate panic; no value of a secret is in a diagnostic or in
//! [`effective()`] (but where the manifest puts one into a command line, which is warned about).

mod condition;
mod diagnostic;
mod disk;
mod dotenv;
mod effective;
mod file;
mod glob;
mod import;
mod interpolate;
mod load;
mod place;
mod schema;
mod shape;
mod tree;
mod units;
mod validate;
mod values;
mod web;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use effective::{app_settings, effective, effective_json};
pub use import::compose::Compose;
pub use load::{
    Loaded, MANIFEST, compose_files, import_compose, load, load_compose_str, load_from, load_from_with,
    load_str, load_with, path_of,
};
pub use model::spec::StackSpec;
pub use schema::schema;
pub use values::is_placeholder;
