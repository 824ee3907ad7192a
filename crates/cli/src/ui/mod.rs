//! What people see: colours, tables, progress, lengths and sizes in words.

mod progress;
mod style;
mod table;
pub mod words;

pub use progress::Progress;
pub use style::{Style, plain};
pub use table::Table;
