//! Checks a document along the JSON schema: unknown keys, wrong types, numbers out of range, unknown words. Serde would
//! stop at the first; this goes on, and hands serde only what it will accept.
//!
//! What is wrong is left out of the result, and stays in the tree: later checks see that the key was *given*
//! ([`crate::place::Place::given`]) and do not call it missing. A misspelt key leaves its likely meaning there too.

use crate::diagnostic::{Report, nearest};
use crate::tree::{Kind, Node, Origin};
use serde_json::{Map, Value};

/// What other programs call a key of ours.
const ELSEWHERE: [(&str, &str); 18] = [
    ("cmd", "run"),
    ("command", "run"),
    ("exec", "run"),
    ("script", "run"),
    ("cwd", "dir"),
    ("workdir", "dir"),
    ("working_dir", "dir"),
    ("environment", "env"),
    ("replicas", "instances"),
    ("scale", "instances"),
    ("workers", "instances"),
    ("depends_on", "needs"),
    ("charset", "character_set"),
    ("type", "kind"),
    ("domains", "hosts"),
    ("server_name", "hosts"),
    ("upstream", "proxy"),
    ("root", "static"),
];

/// What later versions will have, and people may have read about.
const LATER: [&str; 8] = ["backup", "acme", "queue", "job", "waf", "sign_in", "release", "tunnel"];

/// What people mean by a 0 where none is possible: key, what to write.
const ZERO: [(&str, &str); 3] = [
    ("`instances`", "write `{ min = 0 }` to have none while nobody asks; `mainstay stop` stops an app"),
    ("`concurrency`", "leave it out: then there is no bound"),
    ("`failures`", "write `circuit = false`: then none is left alone"),
];

/// Tables whose keys are easily put elsewhere: name in the schema, how it is written.
const TABLES: [(&str, &str, &str); 10] = [
    ("Route", "routes", "below `[[site.route]]`"),
    ("Site", "sites", "below `[[site]]`"),
    ("App", "apps", "below `[app.NAME]`"),
    ("Service", "services", "below `[service.NAME]`"),
    ("Task", "tasks", "below `[task.NAME]`"),
    ("Listen", "`listen`", "below `[listen]`"),
    ("Edge", "`edge`", "below `[edge]`"),
    ("StaticTable", "folders", "into `static = { root = \"…\" }`"),
    ("ProxyTable", "proxies", "into `proxy = { servers = [\"…\"] }`"),
    ("LimitTable", "limits", "into `limit = { rate = \"…\" }`"),
];

/// The part of the document that fits, as serde will read it.
pub fn check(root: &mut Node, report: &mut Report) -> Value {
    let schema = crate::schema::value();
    let mut shape = Shape { definitions: schema.get("$defs").unwrap_or(&Value::Null), report };
    shape.fit(root, &schema, "the manifest").unwrap_or_default()
}

struct Shape<'a> {
    definitions: &'a Value,
    report: &'a mut Report,
}

impl<'a> Shape<'a> {
    fn resolve(&self, mut schema: &'a Value) -> &'a Value {
        while let Some(name) = schema.get("$ref").and_then(Value::as_str) {
            let name = name.rsplit('/').next().unwrap_or_default();
            schema = self.definitions.get(name).unwrap_or(&Value::Null);
        }
        schema
    }

    /// The schemas that a value may fit, without references and alternatives of alternatives.
    fn choices(&self, schema: &'a Value, found: &mut Vec<&'a Value>) {
        let schema = self.resolve(schema);
        let alternatives = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array);
        match alternatives {
            Some(alternatives) => alternatives.iter().for_each(|choice| self.choices(choice, found)),
            None => found.push(schema),
        }
    }

    /// The value that fits, or nothing after saying why.
    fn fit(&mut self, node: &mut Node, schema: &'a Value, name: &str) -> Option<Value> {
        if let Kind::Broken = node.kind {
            return None;
        }
        let mut choices = Vec::new();
        self.choices(schema, &mut choices);
        convert_substituted(node, &choices);
        let own = json_type(&node.kind);
        let matching: Vec<_> = choices.iter().copied().filter(|choice| has_type(choice, own)).collect();
        let Some(&first) = matching.first() else {
            self.wrong_type(node, &choices, name);
            return None;
        };
        // A number in quotes is meant as a number, where one fits and no text but some words does.
        if let Kind::Text(text) = &node.kind
            && text.parse::<i64>().is_ok()
            && matching.iter().all(|choice| words(choice).next().is_some())
        {
            let numbers: Vec<_> = choices.into_iter().filter(|choice| has_type(choice, "integer")).collect();
            if !numbers.is_empty() {
                self.wrong_type(node, &numbers, name);
                return None;
            }
        }
        match &mut node.kind {
            Kind::Table(_) => Some(self.table(node, first, name)),
            Kind::Array(items) => {
                let item = first.get("items").unwrap_or(&Value::Null);
                let fitting: Vec<_> = items.iter_mut().map(|node| self.fit(node, item, name)).collect();
                // All or nothing: places are counted by index.
                fitting.into_iter().collect::<Option<Vec<_>>>().map(Value::Array)
            }
            Kind::Integer(number) => {
                let number = *number;
                self.in_range(node, number, first, name).then_some(Value::from(number))
            }
            Kind::Float(number, _) => {
                Some(serde_json::Number::from_f64(*number).map_or(0.0.into(), Value::Number))
            }
            Kind::Bool(flag) => Some(Value::Bool(*flag)),
            Kind::Text(text) | Kind::Datetime(text) => {
                let text = text.clone();
                self.is_word(node, &text, &matching, name).then_some(Value::String(text))
            }
            Kind::Null => Some(Value::Null),
            Kind::Broken => None,
        }
    }

    fn table(&mut self, node: &mut Node, schema: &'a Value, name: &str) -> Value {
        let known = schema.get("properties").and_then(Value::as_object);
        let names = || known.into_iter().flat_map(|known| known.keys());
        let other = schema.get("additionalProperties").filter(|schema| schema.is_object());
        let mut out = Map::new();
        let mut meant = Vec::new();
        let Kind::Table(entries) = &mut node.kind else { return Value::Object(out) };
        let given: Vec<String> = entries.iter().map(|(key, _)| key.clone()).collect();
        for (key, child) in entries.iter_mut() {
            if let Some(schema) = known.and_then(|known| known.get(key.as_str())).or(other) {
                // keys that people choose mean little without their table: `app.web`
                let chosen = known.is_none_or(|known| !known.contains_key(key.as_str()));
                let child_name = match chosen {
                    true => format!("`{}.{key}`", name.trim_matches('`')),
                    false => format!("`{key}`"),
                };
                if let Some(value) = self.fit(child, schema, &child_name) {
                    out.insert(key.clone(), value);
                }
                continue;
            }
            let mut free =
                names().map(String::as_str).filter(|name| !given.iter().any(|given| given == name));
            let near = nearest(key, free.clone());
            let suggestion = near.or_else(|| free.find(|name| ELSEWHERE.contains(&(key.as_str(), *name))));
            let place = child.key.clone().unwrap_or(child.span.clone());
            if LATER.contains(&key.as_str()) {
                let found = self.report.error("key::later", format!("`{key}` is not in this version"));
                found.at(place, "not yet").help("remove it");
                continue;
            }
            if let Some((tables, written)) = self.table_with(key) {
                let found = self.report.error("key::unknown", format!("there is no key `{key}` in {name}"));
                found.at(place, "unknown key").help(format!("it is a key of {tables}: put it {written}"));
                continue;
            }
            let found = self.report.error("key::unknown", format!("there is no key `{key}` in {name}"));
            found.at(place, "unknown key");
            found.help(match (suggestion, nearest(key, names().map(String::as_str))) {
                (Some(suggestion), _) => format!("did you mean `{suggestion}`?"),
                (None, Some(given)) => format!("`{given}` is there already: put it there, or remove it"),
                (None, None) => format!("keys here: {}", names().cloned().collect::<Vec<_>>().join(", ")),
            });
            if let Some(suggestion) = suggestion {
                meant.push((suggestion.to_owned(), child.clone()));
            }
        }
        entries.extend(meant);
        Value::Object(out)
    }

    /// The tables that have this key, and how they are written.
    fn table_with(&self, key: &str) -> Option<(&'static str, &'static str)> {
        let has = |name: &str| self.definitions.get(name)?.get("properties")?.get(key);
        TABLES.iter().find(|(name, ..)| has(name).is_some()).map(|(_, tables, written)| (*tables, *written))
    }

    /// What to write instead of a value of another type.
    fn right_type(&self, node: &Node, choices: &[&Value], name: &str) -> Option<String> {
        let is = |name: &str| {
            let definition = self.definitions.get(name);
            definition.is_some_and(|own| choices.iter().any(|choice| std::ptr::eq(*choice, own)))
        };
        let written = self.report.written(&node.span);
        match &node.kind {
            Kind::Integer(number) if is("Duration") => {
                Some(format!("write `\"{number}s\"` for seconds, `\"{number}ms\"` for milliseconds"))
            }
            Kind::Text(_) if is("Secret") => {
                Some("write `{ file = \"…\" }`, or `{ secret = \"${VARIABLE}\" }`".into())
            }
            Kind::Text(text) if text.parse::<i64>().is_ok() || matches!(&**text, "true" | "false") => {
                Some(format!("remove the quotes: {text}"))
            }
            Kind::Table(_) if !choices.iter().all(|choice| has_type(choice, "array")) => None,
            Kind::Table(_) if written.starts_with('{') => {
                Some(format!("write `{} = [{{ … }}]`", name.trim_matches('`')))
            }
            Kind::Table(_) if written.starts_with('[') => Some(format!("write `[{written}]`")),
            Kind::Table(_) => Some("write `[[…]]` instead of `[…]`".into()),
            _ => None,
        }
    }

    fn wrong_type(&mut self, node: &Node, choices: &[&Value], name: &str) {
        let mut expected: Vec<&str> = Vec::new();
        for choice in choices {
            let types = match choice.get("type") {
                Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).collect(),
                Some(Value::String(name)) => vec![name.as_str()],
                _ if choice.get("const").is_some() || choice.get("enum").is_some() => vec!["string"],
                _ => vec![],
            };
            for name in types.into_iter().map(type_name) {
                if !expected.contains(&name) {
                    expected.push(name);
                }
            }
        }
        if expected.contains(&"a number") {
            expected.retain(|name| *name != "a whole number");
        }
        let expected = expected.join(" or ");
        let label = format!("expected {expected}, found {}", node.kind.name());
        let help = self.right_type(node, choices, name);
        let found = self.report.error("type::wrong", format!("{name} has to be {expected}"));
        found.at(node.span.clone(), label).help_if(help);
    }

    fn in_range(&mut self, node: &Node, number: i64, schema: &Value, name: &str) -> bool {
        let bound = |key: &str| schema.get(key).and_then(Value::as_i64);
        let (low, high) = (bound("minimum"), bound("maximum"));
        if low.is_none_or(|low| number >= low) && high.is_none_or(|high| number <= high) {
            return true;
        }
        let range = match (low, high) {
            (Some(low), Some(high)) => format!("from {low} to {high}"),
            (Some(low), None) => format!("at least {low}"),
            (_, high) => format!("at most {}", high.unwrap_or(i64::MAX)),
        };
        let found = self.report.error("number::range", format!("{name} has to be {range}"));
        found.at(node.span.clone(), "out of range");
        if let Some((_, help)) = ZERO.iter().find(|(key, _)| number == 0 && *key == name) {
            found.help(*help);
        }
        false
    }

    fn is_word(&mut self, node: &Node, text: &str, choices: &[&Value], name: &str) -> bool {
        let words: Vec<&str> = choices.iter().flat_map(|choice| words(choice)).collect();
        if words.is_empty() || words.contains(&text) {
            return true;
        }
        let list = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        self.report
            .error("word::unknown", format!("{name} has to be one of {list}"))
            .at(node.span.clone(), "not one of these")
            .help_if(nearest(text, words).map(|word| format!("did you mean `{word}`?")));
        false
    }
}

/// `port = "${PORT_NUMBER}"`: TOML has no other way to write a number that comes from a variable.
fn convert_substituted(node: &mut Node, choices: &[&Value]) {
    let Kind::Text(text) = &node.kind else { return };
    let is_free = |choice: &&Value| has_type(choice, "string") && words(choice).next().is_none();
    if node.origin == Origin::Written || choices.iter().any(is_free) {
        return;
    }
    if let Some(number) =
        text.parse().ok().filter(|_| choices.iter().any(|choice| has_type(choice, "integer")))
    {
        node.kind = Kind::Integer(number);
    } else if let Some(flag) =
        text.parse().ok().filter(|_| choices.iter().any(|choice| has_type(choice, "boolean")))
    {
        node.kind = Kind::Bool(flag);
    }
}

/// The words that alone fit a schema; none: any text does, if one does.
fn words(schema: &Value) -> impl Iterator<Item = &str> {
    let list = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    list.chain(schema.get("const")).filter_map(Value::as_str)
}

fn has_type(schema: &Value, name: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(own)) => own == name,
        Some(Value::Array(types)) => types.iter().any(|own| own == name),
        _ => name == "string" && (schema.get("const").is_some() || schema.get("enum").is_some()),
    }
}

fn json_type(kind: &Kind) -> &'static str {
    match kind {
        Kind::Text(_) => "string",
        Kind::Integer(_) => "integer",
        Kind::Float(..) => "number",
        Kind::Bool(_) => "boolean",
        Kind::Datetime(_) => "datetime",
        Kind::Array(_) => "array",
        Kind::Table(_) => "object",
        Kind::Null | Kind::Broken => "null",
    }
}

fn type_name(json: &str) -> &'static str {
    match json {
        "string" => "a string",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        _ => "a table",
    }
}
