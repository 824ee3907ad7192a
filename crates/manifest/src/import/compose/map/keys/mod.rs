//! Every key of the Compose Specification and what becomes of it. One table for three uses: [`super::listed`] says of each key in a file
//! that is not honoured what that means, a test holds it against the specification's own schema, and `docs/compose.md` shows it.
//!
//! A row stands for the keys below it too, where they have no row of their own and it is not [`Fate::Kept`].

mod service;
mod top;

/// What becomes of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is honoured: the words say what it becomes.
    Kept,
    /// It asks for something that is so anyway, or that has no meaning here. It is said as a remark.
    Moot,
    /// It is not honoured: the words say what that means. It is said as a warning.
    Lost,
    /// A stack that needs it would not do what it should: an error.
    Refused,
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Where it stands; `*` is a name that people choose, `[]` an item of a list.
    pub path: &'static str,
    /// What becomes of it.
    pub fate: Fate,
    /// Of a key that is kept what it becomes, else what it means that it is not. Half a sentence.
    pub words: &'static str,
}

const fn kept(path: &'static str, words: &'static str) -> Key {
    Key { path, fate: Fate::Kept, words }
}

const fn moot(path: &'static str, words: &'static str) -> Key {
    Key { path, fate: Fate::Moot, words }
}

const fn lost(path: &'static str, words: &'static str) -> Key {
    Key { path, fate: Fate::Lost, words }
}

const fn refused(path: &'static str, words: &'static str) -> Key {
    Key { path, fate: Fate::Refused, words }
}

/// All rows: of a service in the order of the alphabet, then what stands at the top of a file.
pub fn all() -> impl Iterator<Item = &'static Key> {
    service::KEYS.iter().chain(top::KEYS)
}

/// The row of a key: its own, else the nearest one above it that is not kept.
pub fn find(path: &str) -> Option<&'static Key> {
    let exact = |path: &str| all().find(|key| key.path == path);
    exact(path).or_else(|| {
        let mut above = path;
        while let Some((shorter, _)) = above.rsplit_once('.') {
            above = shorter.trim_end_matches("[]");
            if let Some(key) = exact(above) {
                return Some(key).filter(|key| key.fate != Fate::Kept);
            }
        }
        None
    })
}
