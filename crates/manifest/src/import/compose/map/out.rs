//! Building blocks of the tree that is made: values that keep the place they came from, and readers of the compose file's many forms of one
//! thing. What has a wrong type was reported along the schema ([`super::listed`]); here it is nothing.

use crate::tree::{Kind, Node, Span};

/// A table that is being filled.
#[derive(Debug)]
pub struct Table {
    entries: Vec<(String, Node)>,
    span: Span,
    key: Option<Span>,
}

impl Table {
    /// An empty one that stands where `from` stands.
    pub fn at(from: &Node) -> Self {
        Self { entries: Vec::new(), span: from.span.clone(), key: from.key.clone() }
    }

    /// Sets a key; the last value counts, in the place of the first.
    pub fn put(&mut self, key: &str, value: Node) {
        match self.entries.iter_mut().find(|(own, _)| own == key) {
            Some((_, own)) => *own = value,
            None => self.entries.push((key.to_owned(), value)),
        }
    }

    /// Sets a key, if there is a value.
    pub fn put_if(&mut self, key: &str, value: Option<Node>) {
        value.into_iter().for_each(|value| self.put(key, value));
    }

    /// Sets a key, if the table is not empty.
    pub fn put_table(&mut self, key: &str, value: Self) {
        if !value.entries.is_empty() {
            self.put(key, value.node());
        }
    }

    /// Sets a key, if the list is not empty.
    pub fn put_list(&mut self, key: &str, items: Vec<Node>, from: &Node) {
        if !items.is_empty() {
            self.put(key, list(items, from));
        }
    }

    /// Whether a key is there.
    pub fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|(own, _)| own == key)
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries.iter().find(|(own, _)| own == key).map(|(_, node)| node)
    }

    /// Keys and values.
    pub fn entries(&self) -> &[(String, Node)] {
        &self.entries
    }

    /// Puts the keys into this order; those that are not in it follow as they are.
    pub fn sort(&mut self, order: &[&str]) {
        let place = |key: &str| order.iter().position(|own| *own == key).unwrap_or(order.len());
        self.entries.sort_by_key(|(key, _)| place(key));
    }

    /// As a value.
    pub fn node(self) -> Node {
        Node::new(Kind::Table(self.entries), self.span).keyed(self.key)
    }
}

/// A text made of what stands at `from`.
pub fn text(value: impl Into<String>, from: &Node) -> Node {
    let origin = from.origin;
    Node { origin, ..Node::new(Kind::Text(value.into()), from.span.clone()).keyed(from.key.clone()) }
}

/// A scalar as a text, with how it was written.
pub fn scalar(from: &Node) -> Option<Node> {
    let value = from.scalar()?.into_owned();
    let raw = from.raw.clone().filter(|_| matches!(from.kind, Kind::Text(_)));
    Some(Node { raw, ..text(value, from) })
}

/// A number made of what stands at `from`.
pub fn integer(value: i64, from: &Node) -> Node {
    Node::new(Kind::Integer(value), from.span.clone()).keyed(from.key.clone())
}

/// A number with a fraction; a whole one stays whole.
pub fn number(value: f64, from: &Node) -> Node {
    let kind = match value.fract() == 0.0 && value.abs() < 1e15 {
        // Whole and small: nothing is cut off.
        true => Kind::Integer(value as i64),
        false => Kind::Float(value, value.to_string()),
    };
    Node::new(kind, from.span.clone()).keyed(from.key.clone())
}

/// A boolean made of what stands at `from`.
pub fn flag(value: bool, from: &Node) -> Node {
    Node::new(Kind::Bool(value), from.span.clone()).keyed(from.key.clone())
}

/// A list made of what stands at `from`.
pub fn list(items: Vec<Node>, from: &Node) -> Node {
    Node::new(Kind::Array(items), from.span.clone()).keyed(from.key.clone())
}

/// `true` or `false`, also in quotes: variables give texts.
pub fn truth(node: &Node) -> Option<bool> {
    match node.scalar()?.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Some(true),
        "false" | "no" | "off" | "0" => Some(false),
        _ => None,
    }
}

/// Items of a list; a single value is a list of one, nothing is none.
pub fn items(node: Option<&Node>) -> &[Node] {
    match node.map(|node| (&node.kind, node)) {
        Some((Kind::Array(items), _)) => items,
        Some((Kind::Null | Kind::Broken, _)) | None => &[],
        Some((_, node)) => std::slice::from_ref(node),
    }
}

/// Keys and values of a table.
pub fn entries(node: Option<&Node>) -> &[(String, Node)] {
    match node.map(|node| &node.kind) {
        Some(Kind::Table(entries)) => entries,
        _ => &[],
    }
}

/// The texts of a list, or of one text.
pub fn texts(node: Option<&Node>) -> Vec<Node> {
    items(node).iter().filter_map(scalar).collect()
}

/// One entry of `KEY=value` or `KEY: value`.
#[derive(Debug)]
pub struct Pair {
    /// The name.
    pub name: String,
    /// The value; none where only the name stands.
    pub value: Option<Node>,
    /// Where the entry stands.
    pub span: Span,
}

/// A table, or a list of `KEY=value`.
pub fn pairs(node: Option<&Node>) -> Vec<Pair> {
    pairs_by(node, &['='])
}

/// The same, with the first of `signs` between name and value.
pub fn pairs_by(node: Option<&Node>, signs: &[char]) -> Vec<Pair> {
    let Some(node) = node else { return Vec::new() };
    if let Kind::Table(entries) = &node.kind {
        let pair = |(name, value): &(String, Node)| Pair {
            name: name.clone(),
            value: scalar(value),
            span: value.key.clone().unwrap_or(value.span.clone()),
        };
        return entries.iter().map(pair).collect();
    }
    items(Some(node)).iter().filter_map(|item| split(item, signs)).collect()
}

fn split(item: &Node, signs: &[char]) -> Option<Pair> {
    let written = item.scalar()?;
    let Some((name, value)) = written.split_once(signs) else {
        return Some(Pair { name: written.into_owned(), value: None, span: item.span.clone() });
    };
    // How the value was written is known where no variable stands in the name.
    let raw = item.raw.as_deref().and_then(|raw| raw.split_once(signs));
    let raw = raw.filter(|(own, _)| *own == name).map(|(_, value)| value.to_owned());
    let value = Node { raw, ..text(value, item) };
    Some(Pair { name: name.to_owned(), value: Some(value), span: item.span.clone() })
}

/// Bytes as the engines read them: every unit is a power of 1024 (`1G` is 1 GiB).
pub fn bytes(text: &str) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let shift = match unit.trim().trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        "p" => 50,
        _ => return None,
    };
    let value = digits.parse::<f64>().ok()? * f64::from(2u32).powi(shift);
    // Below 2^53 a float is exact.
    (0.0..9e15).contains(&value).then_some(value as u64)
}

/// Bytes as our manifest writes them.
pub fn size(bytes: u64, from: &Node) -> Node {
    let binary = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let whole = binary.iter().find(|(_, shift)| bytes >= 1 << shift && bytes.is_multiple_of(1 << shift));
    match whole {
        Some((unit, shift)) => text(format!("{}{unit}", bytes >> shift), from),
        None => integer(i64::try_from(bytes).unwrap_or(i64::MAX), from),
    }
}

/// A length of time as the specification writes them: `us`, `ms`, `s`, `m`, `h`; in milliseconds, rounded up.
pub fn millis(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    let mut sum = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let (digits, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit() && c != '.')?);
        let (unit, next) = after.split_at(after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len()));
        let scale = match unit.trim() {
            "ns" => 1e-6,
            "us" | "µs" => 1e-3,
            "ms" => 1.0,
            "s" => 1e3,
            "m" => 60e3,
            "h" => 3600e3,
            "d" => 86_400e3,
            _ => return None,
        };
        sum += digits.parse::<f64>().ok()? * scale;
        rest = next;
    }
    (sum < 9e15).then(|| sum.ceil() as u64)
}

/// Milliseconds as our manifest writes them.
pub fn length(millis: u64, from: &Node) -> Node {
    text(crate::units::format_duration(std::time::Duration::from_millis(millis)), from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, value) in [
            ("1G", 1 << 30),
            ("512m", 512 << 20),
            ("64kb", 65_536),
            ("100", 100),
            ("1.5g", 3 << 29),
            ("2GiB", 2 << 30),
        ] {
            assert_eq!(bytes(text), Some(value), "{text}");
        }
        for bad in ["", "x", "1x", "-1g", "1..2"] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
    }

    #[test]
    fn lengths_of_time() {
        for (text, value) in
            [("5s", 5000), ("1m30s", 90_000), ("1.5h", 5_400_000), ("100us", 1), ("10ms", 10)]
        {
            assert_eq!(millis(text), Some(value), "{text}");
        }
        for bad in ["", "5", "s", "5x", "-5s"] {
            assert_eq!(millis(bad), None, "{bad}");
        }
    }
}
