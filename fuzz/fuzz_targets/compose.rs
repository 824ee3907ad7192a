//! The importer of compose files on any text: no panic, no growth without bound. A line of `=====` ends a file, the next one is laid over it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use manifest::Compose;
use std::path::Path;

fuzz_target!(|text: &str| {
    let paths = ["/srv/shop/compose.yaml", "/srv/shop/b.yaml", "/srv/shop/c/d.yaml"];
    let files: Vec<_> = paths.iter().map(Path::new).zip(text.split("\n=====\n")).collect();
    let environment = |name: &str| (name.len() == 1).then(|| "value".to_owned());
    match manifest::load_compose_str(&files, 2, &Compose::default(), &environment) {
        Ok(loaded) => {
            let again = manifest::load_str(&loaded.text, files[0].0, &environment);
            again.unwrap_or_else(|found| panic!("{found}\n{}", loaded.text));
        }
        Err(found) => drop(found.render(false)),
    }
});
