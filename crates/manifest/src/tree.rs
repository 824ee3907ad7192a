//! The document as a tree that remembers where each key and value stands. Everything that complains points into it;
//! serde never sees a span. Built once from `toml_edit`, then interpolated in place ([`crate::interpolate`]).

use std::borrow::Cow;
use std::ops::Range;
use toml_edit::{Document, Item, TableLike, Value};

/// Bytes in the manifest's text.
pub type Span = Range<usize>;

/// Tables nested deeper than this are cut off: no manifest needs more than six levels, and recursion stays bounded.
const MAX_DEPTH: usize = 32;

/// A value and where it stands.
#[derive(Debug, Clone)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Where the value stands; of a `[table]` its header.
    pub span: Span,
    /// Where its key stands, if it has one.
    pub key: Option<Span>,
    /// What interpolation did to it.
    pub origin: Origin,
    /// How a scalar was written, where the value no longer shows it: the text before variables were replaced in it, the digits of a number.
    pub raw: Option<String>,
    /// What an overlay wants done with what was there before. Only YAML can say it.
    pub overlay: Overlay,
}

/// How a value of a later file meets the one of an earlier file (Compose Specification, "Merge and override").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Overlay {
    /// As the kind of value says.
    #[default]
    Merge,
    /// `!override`: it takes the other's place.
    Replace,
    /// `!reset`: there is none any more.
    Remove,
}

/// Where a text came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// As it stands in the manifest.
    Written,
    /// A variable was replaced in it.
    Substituted,
    /// A variable of the `.env` file was replaced in it: what is there is mostly not meant to be shown.
    File,
    /// A variable was replaced in it whose name says that it is a secret.
    Secret,
}

/// The kinds of TOML values.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A string.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction, and how it is written.
    Float(f64, String),
    /// `true` or `false`.
    Bool(bool),
    /// A date or a time, as it is written.
    Datetime(String),
    /// An array, or an array of tables.
    Array(Vec<Node>),
    /// A table, in the document's order.
    Table(Vec<(String, Node)>),
    /// No value: `key:` in YAML. TOML has none.
    Null,
    /// A string that could not be interpolated; that was reported.
    Broken,
}

impl Kind {
    /// For messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "a whole number",
            Self::Float(..) => "a number with a fraction",
            Self::Bool(_) => "a boolean",
            Self::Datetime(_) => "a date",
            Self::Array(_) => "a list",
            Self::Table(_) => "a table",
            Self::Null | Self::Broken => "nothing",
        }
    }
}

impl Node {
    /// A value as it stands there, without a key.
    pub fn new(kind: Kind, span: Span) -> Self {
        Self { kind, span, key: None, origin: Origin::Written, raw: None, overlay: Overlay::Merge }
    }

    /// It with a key that stands there.
    pub fn keyed(self, key: Option<Span>) -> Self {
        Self { key, ..self }
    }

    /// The text of a scalar, numbers as they were written; none of anything else.
    pub fn scalar(&self) -> Option<Cow<'_, str>> {
        match &self.kind {
            Kind::Text(text) | Kind::Datetime(text) | Kind::Float(_, text) => Some(text.into()),
            Kind::Integer(number) => {
                Some(self.raw.as_deref().map_or_else(|| number.to_string().into(), Cow::Borrowed))
            }
            Kind::Bool(flag) => Some(if *flag { "true" } else { "false" }.into()),
            _ => None,
        }
    }

    /// The value of a key of a table, to change it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        match &mut self.kind {
            Kind::Table(entries) => entries.iter_mut().find(|(name, _)| name == key).map(|(_, node)| node),
            _ => None,
        }
    }

    /// Takes the value of a key out of a table.
    pub fn take(&mut self, key: &str) -> Option<Self> {
        let Kind::Table(entries) = &mut self.kind else { return None };
        let at = entries.iter().position(|(name, _)| name == key)?;
        Some(entries.remove(at).1)
    }

    /// The value of a key of a table.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Table(entries) => entries.iter().find(|(name, _)| name == key).map(|(_, node)| node),
            _ => None,
        }
    }

    /// An item of an array.
    pub fn item(&self, index: usize) -> Option<&Self> {
        match &self.kind {
            Kind::Array(items) => items.get(index),
            _ => None,
        }
    }

    /// As JSON, places forgotten.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.kind {
            Kind::Text(text) | Kind::Datetime(text) => text.as_str().into(),
            Kind::Integer(number) => (*number).into(),
            Kind::Float(number, _) => (*number).into(),
            Kind::Bool(flag) => (*flag).into(),
            Kind::Array(items) => items.iter().map(Self::to_json).collect(),
            Kind::Table(entries) => entries.iter().map(|(key, node)| (key.clone(), node.to_json())).collect(),
            Kind::Null | Kind::Broken => serde_json::Value::Null,
        }
    }

    /// Keys of a table; none of anything else.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let entries: &[(String, Self)] = match &self.kind {
            Kind::Table(entries) => entries,
            _ => &[],
        };
        entries.iter().map(|(name, _)| name.as_str())
    }

    /// Calls `visit` for every string, this one and those below, with the keys that lead to it.
    pub fn for_each_text(&mut self, visit: &mut dyn FnMut(&mut Self, &[&str])) {
        self.walk(&mut Vec::new(), visit);
    }

    fn walk<'a>(&'a mut self, path: &mut Vec<&'a str>, visit: &mut dyn FnMut(&mut Self, &[&str])) {
        if let Kind::Text(_) = self.kind {
            return visit(self, path);
        }
        match &mut self.kind {
            Kind::Array(items) => {
                for item in items {
                    item.walk(path, visit);
                }
            }
            Kind::Table(entries) => {
                for (key, node) in entries {
                    path.push(key);
                    node.walk(path, visit);
                    path.pop();
                }
            }
            _ => {}
        }
    }
}

/// The tree of a parsed document.
pub fn build(document: &Document<&str>) -> Node {
    let builder = Builder { text: document.raw() };
    Node::new(builder.entries(document.as_table(), 0), 0..0)
}

struct Builder<'a> {
    text: &'a str,
}

impl Builder<'_> {
    fn entries(&self, table: &dyn TableLike, depth: usize) -> Kind {
        let mut list = Vec::new();
        if depth < MAX_DEPTH {
            for (name, _) in table.iter() {
                if let Some((key, item)) = table.get_key_value(name) {
                    list.extend(self.node(item, key.span(), depth + 1).map(|node| (name.to_owned(), node)));
                }
            }
        }
        Kind::Table(list)
    }

    fn node(&self, item: &Item, key: Option<Span>, depth: usize) -> Option<Node> {
        let kind = match item {
            Item::None => return None,
            Item::Value(value) => return Some(self.value(value, key, depth)),
            Item::Table(table) => self.entries(table, depth),
            Item::ArrayOfTables(tables) => {
                let items = tables.iter().map(|table| {
                    Node::new(self.entries(table, depth + 1), table.span().or(key.clone()).unwrap_or(0..0))
                });
                Kind::Array(items.collect())
            }
        };
        let span = item.span().or(key.clone()).unwrap_or(0..0);
        Some(Node::new(kind, span).keyed(key))
    }

    fn value(&self, value: &Value, key: Option<Span>, depth: usize) -> Node {
        let kind = match value {
            Value::String(text) => Kind::Text(text.value().clone()),
            Value::Integer(number) => Kind::Integer(*number.value()),
            Value::Float(number) => {
                let written = number.span().and_then(|span| self.text.get(span)).map(str::to_owned);
                Kind::Float(*number.value(), written.unwrap_or_else(|| number.value().to_string()))
            }
            Value::Boolean(flag) => Kind::Bool(*flag.value()),
            Value::Datetime(date) => Kind::Datetime(date.value().to_string()),
            Value::Array(items) if depth < MAX_DEPTH => {
                Kind::Array(items.iter().map(|item| self.value(item, None, depth + 1)).collect())
            }
            Value::Array(_) => Kind::Array(Vec::new()),
            Value::InlineTable(table) => self.entries(table, depth),
        };
        let span = value.span().or(key.clone()).unwrap_or(0..0);
        Node::new(kind, span).keyed(key)
    }
}
