//! The JSON schema of `mainstay.toml`, made from [`crate::file`]. It lies in `docs/mainstay.schema.json` for editors, and
//! [`crate::shape`] checks every document along it.

use crate::file::ManifestFile;
use serde_json::Value;

/// The schema as a value, without the `null`s that TOML does not have.
pub fn value() -> Value {
    let mut schema = serde_json::to_value(schemars::schema_for!(ManifestFile)).unwrap_or_default();
    simplify(&mut schema);
    schema
}

/// The JSON schema, pretty-printed. Stable: the same program gives the same text.
pub fn schema() -> String {
    let mut text = serde_json::to_string_pretty(&value()).unwrap_or_default();
    text.push('\n');
    text
}

/// An optional key is one that may be left out, not one that may be `null`; defaults are told in the descriptions.
fn simplify(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(simplify),
        Value::Object(object) => {
            object.values_mut().for_each(simplify);
            if object.get("default").is_some_and(|default| !default.is_string()) {
                object.remove("default");
            }
            // Rust's widths of numbers; what fits is told by `minimum` and `maximum`.
            object.remove("format");
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [single] = &types[..] {
                    let single = single.clone();
                    object.insert("type".into(), single);
                }
            }
            if let Some(Value::Array(choices)) = object.get_mut("anyOf") {
                choices.retain(|choice| choice.get("type").is_none_or(|name| name != "null"));
                if let [single] = &mut choices[..] {
                    let single = std::mem::take(single);
                    object.remove("anyOf");
                    if let Value::Object(single) = single {
                        object.extend(single);
                    }
                }
            }
        }
        _ => {}
    }
}
