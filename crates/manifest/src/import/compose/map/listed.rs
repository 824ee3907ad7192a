//! Holds a merged compose file against the specification's own schema: unknown keys (refused, with what was probably meant) and wrong types.
//! On the same way every key that is not honoured is listed with its line and what that means ([`super::keys`]).

use super::Cx;
use super::keys::{self, Fate};
use super::out::truth;
use crate::diagnostic::{Severity, nearest};
use crate::tree::{Kind, Node, Origin};
use serde_json::Value;

/// The schema of the Compose Specification, without its descriptions.
const SCHEMA: &str = include_str!("compose-spec.json");

/// The whole, in messages.
const TOP: &str = "the file";

/// What stands at the top of Traefik's files; documents show both as one.
const OF_TRAEFIK: [&str; 10] = [
    "accessLog",
    "api",
    "certificatesResolvers",
    "entryPoints",
    "http",
    "log",
    "metrics",
    "providers",
    "tcp",
    "tls",
];

/// The schema, parsed.
pub fn schema() -> Value {
    // The text is part of the program.
    serde_json::from_str(SCHEMA).unwrap_or_default()
}

/// Says all there is to say about the keys of the file.
pub fn check(cx: &mut Cx<'_>, tree: &Node) {
    let schema = schema();
    Walk { root: &schema, cx }.visit(tree, &schema, "", TOP);
}

struct Walk<'w, 'a> {
    root: &'w Value,
    cx: &'w mut Cx<'a>,
}

impl<'w> Walk<'w, '_> {
    /// The schemas that a value may fit, references followed.
    fn choices(&self, schema: &'w Value, found: &mut Vec<&'w Value>) {
        if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
            let name = name.rsplit('/').next().unwrap_or_default();
            if let Some(schema) = self.root.get("definitions").and_then(|all| all.get(name)) {
                self.choices(schema, found);
            }
            return;
        }
        match schema.get("oneOf").or_else(|| schema.get("anyOf")).and_then(Value::as_array) {
            Some(choices) => choices.iter().for_each(|choice| self.choices(choice, found)),
            None => found.push(schema),
        }
    }

    fn visit(&mut self, node: &Node, schema: &'w Value, path: &str, name: &str) {
        let mut choices = Vec::new();
        self.choices(schema, &mut choices);
        let own = match type_of(node) {
            "broken" => return,
            "string" if !choices.iter().any(|choice| has_type(choice, "string")) => substituted(node),
            own => own,
        };
        let fits: Vec<_> = choices.iter().copied().filter(|choice| has_type(choice, own)).collect();
        let Some(first) = fits.first() else { return self.wrong_type(node, &choices, name) };
        if let Some(text) = node.scalar()
            && let Some(words) = first.get("enum").and_then(Value::as_array)
            && !words.iter().any(|word| word.as_str() == Some(&*text))
        {
            let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
            let message = format!("{name} has to be one of `{}`", words.join("`, `"));
            let near = nearest(&text, words).map(|word| format!("did you mean `{word}`?"));
            let found =
                self.cx.say(Severity::Error, "compose::word", message, &node.span, "not one of these");
            found.help_if(near);
        }
        match &node.kind {
            Kind::Table(entries) => {
                entries.iter().for_each(|(key, child)| self.entry(key, child, first, path, name));
            }
            Kind::Array(items) => {
                let Some(schema) = first.get("items") else { return };
                items.iter().for_each(|item| self.visit(item, schema, &format!("{path}[]"), name));
            }
            _ => {}
        }
    }

    fn entry(&mut self, key: &str, child: &Node, schema: &'w Value, path: &str, name: &str) {
        let known = schema.get("properties").and_then(Value::as_object);
        if let Some(schema) = known.and_then(|known| known.get(key)) {
            let path = if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            if self.listed(child, &path, key) {
                self.visit(child, schema, &path, &format!("`{key}`"));
            }
        } else if key.starts_with("x-") {
            // an extension: the specification has it passed over
        } else if let Some(schema) = pattern(schema, key) {
            self.visit(child, schema, &format!("{path}.*"), &format!("`{key}`"));
        } else if known.is_some() || schema.get("patternProperties").is_some() {
            self.unknown(key, child, schema, name);
        }
    }

    /// Lists a key that is not honoured. Whether what is below it is looked at.
    fn listed(&mut self, node: &Node, path: &str, key: &str) -> bool {
        let Some(row) = keys::find(path).filter(|row| row.fate != Fate::Kept && row.path == path) else {
            return true;
        };
        // To ask that it be off, or for nothing, is to ask for what is so.
        if matches!(node.kind, Kind::Null) || (row.fate != Fate::Moot && truth(node) == Some(false)) {
            return true;
        }
        let place = node.key.as_ref().unwrap_or(&node.span);
        let (severity, message, label) = match row.fate {
            Fate::Moot => (Severity::Info, format!("`{key}` has no effect: {}", row.words), "has no effect"),
            Fate::Refused => {
                (Severity::Error, format!("`{key}` cannot be honoured: {}", row.words), "not possible")
            }
            _ => (Severity::Warning, format!("`{key}` is not honoured: {}", row.words), "not honoured"),
        };
        self.cx.say(severity, "compose::key", message, place, label);
        true
    }

    fn unknown(&mut self, key: &str, child: &Node, schema: &Value, name: &str) {
        let known = schema.get("properties").and_then(Value::as_object);
        let names = || known.into_iter().flat_map(|known| known.keys()).map(String::as_str);
        let place = child.key.as_ref().unwrap_or(&child.span);
        if name == TOP && OF_TRAEFIK.contains(&key) {
            let message = format!("`{key}` is a key of Traefik's own files: it is left out");
            let found = self.cx.say(Severity::Warning, "compose::fragment", message, place, "not Compose's");
            found.help("put it into a `traefik.yml` that is mounted into the service that is Traefik");
            return;
        }
        let message = format!("there is no key `{key}` in {name}");
        let help = nearest(key, names()).map(|near| format!("did you mean `{near}`?"));
        let found = self.cx.say(Severity::Error, "compose::unknown", message, place, "unknown key");
        found.help(help.unwrap_or_else(|| "a key of your own begins with `x-`".into()));
    }

    fn wrong_type(&mut self, node: &Node, choices: &[&Value], name: &str) {
        let mut expected: Vec<&str> = Vec::new();
        for word in choices.iter().flat_map(|choice| types(choice)).map(type_name) {
            if !expected.contains(&word) {
                expected.push(word);
            }
        }
        let expected = expected.join(" or ");
        let label = format!("expected {expected}, found {}", node.kind.name());
        let message = format!("{name} has to be {expected}");
        self.cx.say(Severity::Error, "compose::type", message, &node.span, &label);
    }
}

/// What a key that is not named in the schema has to fit.
fn pattern<'s>(schema: &'s Value, key: &str) -> Option<&'s Value> {
    let patterns = schema.get("patternProperties").and_then(Value::as_object).into_iter().flatten();
    let fits = |pattern: &str| match pattern {
        "^x-" => false,
        ".+" | "^.+$" => true,
        "^[a-z]+$" => key.bytes().all(|byte| byte.is_ascii_lowercase()),
        // names of services, networks, volumes
        _ => key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)),
    };
    let found = patterns.into_iter().find(|(pattern, _)| fits(pattern)).map(|(_, schema)| schema);
    found.or_else(|| schema.get("additionalProperties").filter(|schema| schema.is_object()))
}

fn types(schema: &Value) -> Vec<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ if schema.get("enum").is_some() => vec!["string"],
        _ => vec!["any"],
    }
}

fn has_type(schema: &Value, own: &str) -> bool {
    types(schema).into_iter().any(|name| {
        name == own
            || name == "any"
            || (own, name) == ("integer", "number")
            || (own, name) == ("datetime", "string")
    })
}

/// Of a text the type it has once its variables are replaced: YAML has no other way to write a number that comes from one.
fn substituted(node: &Node) -> &'static str {
    match node.scalar() {
        Some(text) if node.origin != Origin::Written && text.parse::<i64>().is_ok() => "integer",
        Some(text) if node.origin != Origin::Written && text.parse::<f64>().is_ok() => "number",
        Some(_) if node.origin != Origin::Written && truth(node).is_some() => "boolean",
        _ => "string",
    }
}

fn type_of(node: &Node) -> &'static str {
    match node.kind {
        Kind::Text(_) => "string",
        Kind::Integer(_) => "integer",
        Kind::Float(..) => "number",
        Kind::Bool(_) => "boolean",
        Kind::Datetime(_) => "datetime",
        Kind::Array(_) => "array",
        Kind::Table(_) => "object",
        Kind::Null => "null",
        Kind::Broken => "broken",
    }
}

fn type_name(json: &str) -> &'static str {
    match json {
        "string" => "a text",
        "integer" | "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "null" => "nothing",
        _ => "a table",
    }
}
