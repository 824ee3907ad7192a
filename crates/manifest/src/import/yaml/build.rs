//! The parser's events, put together to nodes. No recursion: what is open lies on a stack of its own.

use super::{COPIES, DEPTH, Text, place_of, scalar};
use crate::diagnostic::Report;
use crate::tree::{Kind, Node, Overlay, Span};
use granit_parser::{Event, Parser, ScalarStyle, Span as Place, Tag};
use std::collections::HashMap;

/// All documents of a text that was scanned before; `text` may be the repaired one.
pub fn documents(file: &Text, text: &str, report: &mut Report) -> Option<Vec<Node>> {
    let mut builder = Builder {
        file,
        report,
        open: Vec::new(),
        anchors: HashMap::new(),
        copies: COPIES,
        done: Vec::new(),
        failed: false,
    };
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, place)) => builder.event(event, &place),
            Err(error) => {
                builder.fault(place_of(&error, text), "not YAML");
                break;
            }
        }
        if builder.failed {
            return None;
        }
    }
    Some(builder.done)
}

/// What an alias stands for.
struct Anchored {
    node: Node,
    /// About how much memory a copy takes.
    bytes: usize,
    /// Tables and lists within it.
    height: usize,
}

/// A table or a list that is not at its end yet.
struct Open {
    kind: Collection,
    span: Span,
    anchor: usize,
    overlay: Overlay,
    bytes: usize,
    height: usize,
}

enum Collection {
    List(Vec<Node>),
    Table {
        entries: Vec<(String, Node)>,
        /// Where each key stands.
        keys: HashMap<String, Span>,
        /// The key whose value comes next.
        key: Option<(String, Span, bool)>,
        /// The values of `<<`.
        merged: Vec<Node>,
    },
}

struct Builder<'a> {
    file: &'a Text,
    report: &'a mut Report,
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    copies: usize,
    done: Vec<Node>,
    failed: bool,
}

impl Builder<'_> {
    fn event(&mut self, event: Event<'_>, place: &Place) {
        let span = self.file.place(place.byte_range().unwrap_or_default());
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                if self.is_key() {
                    return self.key(&text, style, span);
                }
                let overlay = self.overlay(tag.as_deref(), &span);
                let (kind, raw) = self.scalar(&text, style, tag.as_deref());
                let node = Node { overlay, raw, ..Node::new(kind, span) };
                self.add(node, anchor, 64 + text.len(), 0);
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.begin(Collection::List(Vec::new()), span, anchor, tag.as_deref());
            }
            Event::MappingStart(_, anchor, tag) => {
                let (entries, keys, key, merged) = Default::default();
                self.begin(Collection::Table { entries, keys, key, merged }, span, anchor, tag.as_deref());
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::DocumentEnd => self.anchors.clear(),
            _ => {}
        }
    }

    fn fault(&mut self, span: Span, message: &str) {
        self.failed = true;
        self.report.error("yaml::syntax", message).at(span, "here");
    }

    /// Whether a key comes next.
    fn is_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { kind: Collection::Table { key: None, .. }, .. }))
    }

    fn key(&mut self, text: &str, style: ScalarStyle, span: Span) {
        let merge = text == "<<" && matches!(style, ScalarStyle::Plain);
        let Some(Open { kind: Collection::Table { keys, key, .. }, .. }) = self.open.last_mut() else {
            return;
        };
        *key = Some((text.to_owned(), span.clone(), merge));
        if let Some(first) = keys.insert(text.to_owned(), span.clone()) {
            self.failed = true;
            self.report
                .error("yaml::duplicate", format!("the key `{text}` stands here twice"))
                .at(span, "again here")
                .at(first, "first here")
                .help("remove one of them, or put what is below both under one");
        }
    }

    fn scalar(&self, text: &str, style: ScalarStyle, tag: Option<&Tag>) -> (Kind, Option<String>) {
        match tag.and_then(Tag::core_suffix) {
            Some("str") => (Kind::Text(text.to_owned()), None),
            Some("int" | "float" | "bool" | "null") => scalar::plain(text),
            _ if matches!(style, ScalarStyle::Plain) => scalar::plain(text),
            _ => (Kind::Text(text.to_owned()), None),
        }
    }

    fn overlay(&mut self, tag: Option<&Tag>, span: &Span) -> Overlay {
        let Some(tag) = tag else { return Overlay::Merge };
        match tag.original().as_str() {
            "!reset" => Overlay::Remove,
            "!override" => Overlay::Replace,
            _ if tag.is_yaml_core_schema() => Overlay::Merge,
            other => {
                self.report
                    .warning("yaml::tag", format!("the tag `{other}` means nothing here"))
                    .at(span.clone(), "taken without it")
                    .help("tags of Compose are `!reset` and `!override`");
                Overlay::Merge
            }
        }
    }

    fn begin(&mut self, kind: Collection, span: Span, anchor: usize, tag: Option<&Tag>) {
        if self.is_key() {
            return self.fault(span, "a key has to be a text");
        }
        if self.open.len() >= DEPTH {
            return self.fault(span, "nested too deep");
        }
        let overlay = self.overlay(tag, &span);
        self.open.push(Open { kind, span, anchor, overlay, bytes: 64, height: 1 });
    }

    fn end(&mut self, end: Span) {
        let Some(Open { kind, span, anchor, overlay, bytes, height }) = self.open.pop() else { return };
        let flow = self.file.text.as_bytes().get(span.start - self.file.start);
        let is_flow = matches!(flow, Some(b'[' | b'{')) && end.end > span.start;
        // A table in block style is shown by the key above it, or by its own first word.
        let span = if is_flow { span.start..end.end } else { self.above().unwrap_or(span.clone()) };
        let kind = match kind {
            Collection::List(items) => Kind::Array(items),
            Collection::Table { mut entries, mut keys, merged, .. } => {
                for (name, node) in merged.into_iter().flat_map(entries_of) {
                    if !keys.contains_key(&name) {
                        keys.insert(name.clone(), node.span.clone());
                        entries.push((name, node));
                    }
                }
                Kind::Table(entries)
            }
        };
        let span = match &kind {
            Kind::Table(entries) if !is_flow && self.above().is_none() => {
                entries.first().and_then(|(_, node)| node.key.clone()).unwrap_or(span)
            }
            _ => span,
        };
        self.add(Node { overlay, ..Node::new(kind, span) }, anchor, bytes, height);
    }

    /// The key whose value is at hand.
    fn above(&self) -> Option<Span> {
        match &self.open.last()?.kind {
            Collection::Table { key: Some((_, span, _)), .. } => Some(span.clone()),
            _ => None,
        }
    }

    fn alias(&mut self, anchor: usize, span: Span) {
        if self.is_key() {
            return self.fault(span, "an alias cannot be a key here");
        }
        let Some(Anchored { node, bytes, height }) = self.anchors.get(&anchor) else {
            return self.fault(span, "this alias stands within what it means");
        };
        let (bytes, height) = (*bytes, *height);
        if bytes > self.copies || self.open.len() + height > DEPTH {
            return self.fault(span, "aliases within aliases: this would become too large");
        }
        self.copies -= bytes;
        let node = node.clone();
        self.add(node, 0, bytes, height);
    }

    /// A whole node: the value of a key, the item of a list, or a document.
    fn add(&mut self, mut node: Node, anchor: usize, bytes: usize, height: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, Anchored { node: node.clone(), bytes, height });
            // A copy is made here too.
            match self.copies.checked_sub(bytes) {
                Some(left) => self.copies = left,
                None => return self.fault(node.span, "anchors within anchors: this would become too large"),
            }
        }
        let Some(open) = self.open.last_mut() else { return self.done.push(node) };
        open.bytes += bytes;
        open.height = open.height.max(height + 1);
        match &mut open.kind {
            Collection::List(items) => items.push(node),
            Collection::Table { entries, key, .. } => match key.take() {
                Some((_, span, true)) => self.merge(node, span),
                Some((name, span, false)) => {
                    if node.span.is_empty() {
                        node.span = span.clone();
                    }
                    entries.push((name, node.keyed(Some(span))));
                }
                None => {}
            },
        }
    }

    /// The value of `<<`: a table, or a list of tables of which the earlier ones win.
    fn merge(&mut self, node: Node, key: Span) {
        let tables = match node.kind {
            Kind::Table(_) => vec![node],
            Kind::Array(items) => items,
            _ => Vec::new(),
        };
        if tables.is_empty() || tables.iter().any(|table| !matches!(table.kind, Kind::Table(_))) {
            return self.fault(key, "`<<` takes a table, or a list of tables");
        }
        if let Some(Open { kind: Collection::Table { merged, .. }, .. }) = self.open.last_mut() {
            *merged = tables;
        }
    }
}

fn entries_of(node: Node) -> Vec<(String, Node)> {
    match node.kind {
        Kind::Table(entries) => entries,
        _ => Vec::new(),
    }
}
