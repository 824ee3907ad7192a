//! A cursor into the tree. Checks carry one along with the value, and point with it.

use crate::tree::{Kind, Node, Origin, Span};

/// A key or an item that may or may not be there.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    node: Option<&'a Node>,
    /// The innermost table or list that is there.
    owner: &'a Node,
}

impl<'a> Place<'a> {
    /// The whole document.
    pub fn root(node: &'a Node) -> Self {
        Self { node: Some(node), owner: node }
    }

    fn step(self, next: impl FnOnce(&'a Node) -> Option<&'a Node>) -> Self {
        Self { node: self.node.and_then(next), owner: self.node.unwrap_or(self.owner) }
    }

    /// A key of this table.
    pub fn key(self, name: &str) -> Self {
        self.step(|node| node.get(name))
    }

    /// An item of this list; of a single value that stands for a list of one, the value.
    pub fn item(self, index: usize) -> Self {
        match self.node.map(|node| &node.kind) {
            Some(Kind::Array(_)) => self.step(|node| node.item(index)),
            _ => self,
        }
    }

    /// Whether it was written, rightly or wrongly.
    pub fn given(self) -> bool {
        self.node.is_some()
    }

    /// Where its value stands, else what it would belong to.
    pub fn span(self) -> Span {
        self.node.unwrap_or(self.owner).span.clone()
    }

    /// Where its key stands, else as [`Self::span`].
    pub fn name_span(self) -> Span {
        self.node.unwrap_or(self.owner).key.clone().unwrap_or_else(|| self.span())
    }

    /// What interpolation did to it.
    pub fn origin(self) -> Origin {
        self.node.map_or(Origin::Written, |node| node.origin)
    }

    /// How a number with a fraction is written.
    pub fn float(self) -> Option<&'a str> {
        match self.node.map(|node| &node.kind) {
            Some(Kind::Float(_, written)) => Some(written),
            _ => None,
        }
    }

    /// Keys of this table, misspelt ones included.
    pub fn keys(self) -> impl Iterator<Item = &'a str> {
        self.node.into_iter().flat_map(Node::keys)
    }
}
