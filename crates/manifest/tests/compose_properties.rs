//! Whatever compose files hold, reading them gives a specification or diagnostics, in bounded time, and never panics.

#![allow(clippy::unwrap_used, clippy::panic)]

use manifest::Compose;
use proptest::prelude::*;
use std::path::Path;
use std::time::Instant;

fn check(texts: &[&str]) {
    let paths = ["/srv/shop/compose.yaml", "/srv/shop/b.yaml", "/srv/shop/c/d.yaml"];
    let files: Vec<(&Path, &str)> = paths.iter().map(Path::new).zip(texts.iter().copied()).collect();
    let environment = |name: &str| (name.len() == 1).then(|| "value".to_owned());
    let asked = Compose { profiles: vec!["p".into()], ..Compose::default() };
    let begun = Instant::now();
    match manifest::load_compose_str(&files, 2.min(texts.len()), &asked, &environment) {
        Ok(loaded) => {
            loaded.warnings.iter().for_each(|warning| drop(warning.render(false)));
            // What is kept of it is a manifest.
            manifest::load_str(&loaded.text, paths[0].as_ref(), &environment)
                .unwrap_or_else(|found| panic!("{found}\n{}", loaded.text));
        }
        Err(found) => {
            assert!(found.errors() > 0);
            assert!(!found.render(false).is_empty());
            found.to_json();
        }
    }
    let texts: Vec<_> = texts.iter().map(|text| text.chars().take(2_000).collect::<String>()).collect();
    assert!(begun.elapsed().as_secs() < 20, "{:?}: {texts:?}", begun.elapsed());
}

const WORDS: &str = "(services:|  [ab]:|    (image|build|command|environment|ports|labels|volumes|depends_on|extends|profiles|networks|deploy): |\
    include: \\[[bc/d.yaml]*\\]|&x |\\*x|<<: |!reset |!override |- |\\{|\\}|\\[|\\]|, |: |\"|'|\\||>|~|\n|\n  |\n    |\n      - |A=1|\\$\\{[AB]:-x\\}|\\$[A-C]|80:80|./a:/b|\
    traefik.http.routers.a.rule=Host\\(`a`\\)|#|\t|\u{feff}|é|---\n|0755|1.0|true)*";

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn any_text(text in "\\PC*") {
        check(&[&text]);
    }

    #[test]
    fn words_of_compose_files(one in WORDS, two in WORDS, three in WORDS) {
        check(&[&one, &two, &three]);
    }

    #[test]
    fn a_whole_file_with_something_put_into_it(at in 0usize..900, what in WORDS) {
        let whole = include_str!("compose/whole.yaml");
        let at = (0..=at.min(whole.len())).rev().find(|at| whole.is_char_boundary(*at)).unwrap();
        check(&[&format!("{}{what}{}", &whole[..at], &whole[at..])]);
    }
}

#[test]
fn depth_and_length_are_bounded() {
    check(&[&"[".repeat(300_000)]);
    check(&[&format!("services:\n  a:\n    x-a: {}1{}", "{a: ".repeat(5_000), "}".repeat(5_000))]);
    check(&[&"- ".repeat(100_000)]);
    check(&[&format!("services: {{a: {{image: '{}'}}}}", "${A:-".repeat(10_000))]);
    let many = |line: &str| (0..20_000).map(|at| line.replace('#', &at.to_string())).collect::<String>();
    check(&[&format!("services:\n{}", many("  s#: {image: 'a:1'}\n"))]);
    let of_one =
        |part: &str, line: &str| format!("services:\n  a:\n    image: a\n    {part}:\n{}", many(line));
    check(&[&of_one("environment", "      A#: x\n")]);
    check(&[&of_one("labels", "      a.b#: x\n")]);
    check(&[&of_one("ports", "      - '127.0.0.1:80:#'\n")]);
    check(&[&of_one("volumes", "      - 'v#:/v#'\n")]);
    check(&[&of_one("depends_on", "      - s#\n")]);
    check(&[&format!("services:\n  a:\n    image: a\n{}", many("    s#: a\n"))]);
}
