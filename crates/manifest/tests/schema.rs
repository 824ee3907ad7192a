//! `docs/mainstay.schema.json` is what the program says, `docs/manifest.md` names every key, and what the documents show loads.

use std::fs;
use std::path::{Path, PathBuf};

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)
}

#[test]
#[allow(clippy::disallowed_methods)]
fn the_schema_in_the_documents_is_this_one() {
    let schema = manifest::schema();
    let file = docs("mainstay.schema.json");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&file, &schema).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == schema,
        "docs/mainstay.schema.json is out of date: UPDATE=1 cargo test -p manifest --test schema"
    );
}

#[test]
fn the_reference_names_every_key() {
    let text = fs::read_to_string(docs("manifest.md")).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&manifest::schema()).unwrap();
    let mut tables = vec![&schema];
    tables.extend(schema["$defs"].as_object().unwrap().values());
    for key in tables.iter().filter_map(|table| table["properties"].as_object()).flatten().map(|(key, _)| key)
    {
        assert!(text.contains(&format!("`{key}`")), "docs/manifest.md does not name `{key}`");
    }
}

#[test]
fn every_example_of_the_documents_loads() {
    let pages = fs::read_dir(docs("")).unwrap().map(|entry| entry.unwrap().path());
    let pages = pages.filter(|path| path.extension().is_some_and(|it| it == "md"));
    let mut count = 0;
    for page in pages.chain([docs("../README.md")]) {
        let text = fs::read_to_string(&page).unwrap();
        for block in text.split("```toml\n").skip(1) {
            let example = block.split("```").next().unwrap();
            let environment = |name: &str| (name == "API_TOKEN").then(|| "x".to_owned());
            manifest::load_str(example, "/srv/shop/mainstay.toml".as_ref(), &environment)
                .unwrap_or_else(|found| panic!("{}: {found}\n{example}", page.display()));
            count += 1;
        }
    }
    assert!(count >= 20, "{count} examples");
}
