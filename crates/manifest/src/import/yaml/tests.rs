//! Documents with their places, and what is mended.

use super::*;
use crate::diagnostic::Source;
use crate::tree::Kind;
use std::path::Path;

fn read(text: &str) -> Result<(serde_json::Value, Vec<String>), String> {
    let file = Text { path: "f.yaml".into(), text: text.into(), start: 0 };
    let mut report = Report::new(Source::masked(Path::new("f.yaml"), text, &[]));
    let nodes = parse(&file, &mut report);
    match nodes {
        Some(nodes) => {
            let first = nodes.first().map_or(serde_json::Value::Null, Node::to_json);
            Ok((first, report.finish().unwrap().iter().map(ToString::to_string).collect()))
        }
        None => Err(report.fail().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")),
    }
}

fn json(text: &str) -> serde_json::Value {
    read(text).unwrap().0
}

#[test]
fn scalars_of_the_core_schema() {
    let value = json(
        "a: 1\nb: 1.0\nc: 0755\nd: 22:22\ne: yes\nf: true\ng: ~\nh:\ni: '1'\nj: 0x1f\nk: 1e3\nl: 2024-01-01\nm: .5\nn: 1.2.3\no: -7",
    );
    let expected = serde_json::json!({"a": 1, "b": 1.0, "c": 493, "d": "22:22", "e": "yes", "f": true, "g": null, "h": null,
        "i": "1", "j": 31, "k": 1000.0, "l": "2024-01-01", "m": 0.5, "n": "1.2.3", "o": -7});
    assert_eq!(value, expected);
}

#[test]
fn numbers_keep_their_text() {
    let file = Text { path: "f".into(), text: "a: 1.0\nb: 0755\nc: 1.10".into(), start: 0 };
    let mut report = Report::new(Source::masked(Path::new("f"), &file.text, &[]));
    let root = parse(&file, &mut report).unwrap().remove(0);
    let text = |key: &str| root.get(key).unwrap().scalar().unwrap().into_owned();
    assert_eq!([text("a"), text("b"), text("c")], ["1.0", "0755", "1.10"]);
}

#[test]
fn anchors_and_merge_keys() {
    let value = json(
        "x: &x {a: 1, b: 2}\ny: &y {b: 3, c: 4}\none:\n  <<: *x\n  a: 9\nboth:\n  d: 0\n  <<: [*y, *x]\n",
    );
    assert_eq!(value["one"], serde_json::json!({"a": 9, "b": 2}));
    assert_eq!(value["both"], serde_json::json!({"d": 0, "b": 3, "c": 4, "a": 1}));
    assert!(read("a: &a [*a]").is_err());
    assert!(read("<<: 1").is_err());
    assert!(read("a: *nothing").is_err());
}

#[test]
fn a_key_twice_is_an_error_with_both_places() {
    let text = read("a:\n  b: 1\n  c: 2\n  b: 3\n").unwrap_err();
    assert_eq!(text, "f.yaml:4:3: error: the key `b` stands here twice");
}

#[test]
fn aliases_do_not_explode() {
    let mut bomb = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for level in 1..20 {
        let below = vec![format!("*a{}", level - 1); 9].join(", ");
        bomb += &format!("a{level}: &a{level} [{below}]\n");
    }
    let started = std::time::Instant::now();
    assert!(read(&bomb).unwrap_err().contains("too large"));
    assert!(started.elapsed().as_secs() < 5);
    assert!(read(&"[".repeat(100_000)).is_err());
    assert!(read(&"a: &a\n".repeat(2)).is_err());
}

#[test]
fn line_ends_marks_and_documents() {
    assert_eq!(
        json("\u{feff}a: 1\r\nb:\r\n  - x\r\n  - y\r\n"),
        serde_json::json!({"a": 1, "b": ["x", "y"]})
    );
    let file = Text { path: "f".into(), text: "a: 1\n---\na: 2\n...\n".into(), start: 0 };
    let mut report = Report::new(Source::masked(Path::new("f"), &file.text, &[]));
    assert_eq!(parse(&file, &mut report).unwrap().len(), 2);
    assert_eq!(json(""), serde_json::Value::Null);
}

#[test]
fn spans_are_those_of_the_text_of_all_files() {
    let text = "services:\n  web:\n    image: \"x:1\"\n    ports: [80, 443]\n    env:\n      - A=1\n";
    let file = Text { path: "f".into(), text: text.into(), start: 100 };
    let mut report = Report::new(Source::masked(Path::new("f"), text, &[]));
    let root = parse(&file, &mut report).unwrap().remove(0);
    let at = |node: &Node| &text[node.span.start - 100..node.span.end - 100];
    let web = root.get("services").unwrap().get("web").unwrap();
    assert_eq!(at(web), "web");
    assert_eq!(at(web.get("image").unwrap()), "\"x:1\"");
    assert_eq!(at(web.get("ports").unwrap()), "[80, 443]");
    assert_eq!(at(web.get("env").unwrap().item(0).unwrap()), "A=1");
    let key = web.get("image").unwrap().key.clone().unwrap();
    assert_eq!(&text[key.start - 100..key.end - 100], "image");
}

#[test]
fn a_list_whose_first_item_is_too_deep_is_one_list() {
    let text = "a:\n  env:\n          - A=1\n    - B=2\n    - C=3\n  x: 1\n";
    let (value, warnings) = read(text).unwrap();
    assert_eq!(value, serde_json::json!({"a": {"env": ["A=1", "B=2", "C=3"], "x": 1}}));
    assert_eq!(warnings, ["f.yaml:3:11: warning: this list item is indented deeper than the next one"]);
    // Not where it could mean something else.
    assert!(read("a:\n      - A=1\n    - B=2\n  - C=3\n").is_err());
    assert!(read("a: 'x\n").is_err());
}

#[test]
fn tags_of_overlays() {
    let text = "a: !reset null\nb: !override [1]\nc: !reset\nd: !override\n  e: 1\nf: !!str 1\n";
    let file = Text { path: "f".into(), text: text.into(), start: 0 };
    let mut report = Report::new(Source::masked(Path::new("f"), text, &[]));
    let root = parse(&file, &mut report).unwrap().remove(0);
    let overlay = |key: &str| root.get(key).unwrap().overlay;
    use crate::tree::Overlay::*;
    assert_eq!([overlay("a"), overlay("b"), overlay("c"), overlay("d")], [Remove, Replace, Remove, Replace]);
    assert!(matches!(&root.get("f").unwrap().kind, Kind::Text(text) if text == "1"));
}
