//! Nodes of the manifest, each standing where what it was made of stands.

use crate::tree::{Kind, Node, Span};

/// A text.
pub fn text(text: impl Into<String>, span: &Span) -> Node {
    Node::new(Kind::Text(text.into()), span.clone())
}

/// `true` or `false`.
pub fn flag(flag: bool, span: &Span) -> Node {
    Node::new(Kind::Bool(flag), span.clone())
}

/// A whole number.
pub fn number(number: impl Into<i64>, span: &Span) -> Node {
    Node::new(Kind::Integer(number.into()), span.clone())
}

/// A list of texts.
pub fn texts<T: AsRef<str>>(items: impl IntoIterator<Item = T>, span: &Span) -> Node {
    let items = items.into_iter().map(|item| text(item.as_ref(), span)).collect();
    list(items, span)
}

/// A list.
pub fn list(items: Vec<Node>, span: &Span) -> Node {
    Node::new(Kind::Array(items), span.clone())
}

/// A table.
pub fn table(entries: Vec<(&str, Node)>, span: &Span) -> Node {
    let entries = entries.into_iter().map(|(key, node)| (key.to_owned(), node.keyed(Some(span.clone()))));
    Node::new(Kind::Table(entries.collect()), span.clone())
}
