//! Whatever is in the file, loading gives a specification or diagnostics, and never panics.

#![allow(clippy::unwrap_used, clippy::panic)]

use proptest::prelude::*;

fn load(text: &str) -> Result<manifest::Loaded, manifest::Diagnostics> {
    let environment = |name: &str| (name.len() == 1).then(|| "value".to_owned());
    manifest::load_str(text, "/srv/shop/mainstay.toml".as_ref(), &environment)
}

fn check(text: &str) {
    match load(text) {
        Ok(loaded) => {
            let printed = manifest::effective(&loaded.spec);
            let again = load(&printed).unwrap_or_else(|found| panic!("{found}\n{printed}"));
            assert_eq!(manifest::effective(&again.spec), printed);
            loaded.warnings.iter().for_each(|warning| drop(warning.render(false)));
        }
        Err(found) => {
            assert!(found.errors() > 0);
            assert!(!found.render(false).is_empty());
            assert!(found.iter().all(|one| one.code != "manifest::type"), "schema and types differ: {found}");
            found.to_json();
        }
    }
}

const KEYS: [&str; 114] = [
    "stack",
    "trusted",
    "listen",
    "http",
    "site",
    "hosts",
    "route",
    "path",
    "app",
    "proxy",
    "static",
    "timeout",
    "body",
    "run",
    "dir",
    "env",
    "env_file",
    "instances",
    "port",
    "needs",
    "health",
    "tcp",
    "command",
    "interval",
    "retries",
    "start_period",
    "restart",
    "policy",
    "delay",
    "stop",
    "signal",
    "drain",
    "description",
    "reload",
    "user",
    "logs",
    "keep",
    "https",
    "proxy_protocol",
    "edge",
    "access_log",
    "client",
    "connections",
    "connects",
    "ban",
    "offences",
    "within",
    "for",
    "tls",
    "cert",
    "key",
    "https_redirect",
    "redirect",
    "to",
    "status",
    "metrics",
    "servers",
    "server",
    "weight",
    "balance",
    "http2",
    "root",
    "index",
    "spa",
    "clean_urls",
    "trailing_slash",
    "not_found",
    "listing",
    "deny",
    "allow",
    "cache",
    "compress",
    "inert",
    "maintenance",
    "page",
    "retry_after",
    "methods",
    "file_types",
    "limit",
    "rate",
    "burst",
    "by",
    "zone",
    "concurrency",
    "most",
    "cors",
    "origins",
    "headers",
    "expose",
    "credentials",
    "max_age",
    "basic_auth",
    "realm",
    "users",
    "file",
    "forward_auth",
    "copy",
    "strip_prefix",
    "add_prefix",
    "rewrite",
    "match",
    "with",
    "request_headers",
    "value",
    "mode",
    "paths",
    "https_only",
    "security_headers",
    "error_pages",
    "replace",
    "types",
    "min",
    "codings",
    "web",
];

fn key() -> impl Strategy<Value = String> {
    prop_oneof![8 => proptest::sample::select(&KEYS[..]).prop_map(str::to_owned), 1 => "[a-z_]{1,8}", 1 => "\"\\PC{0,4}\""]
        .prop_filter("no quotes or escapes inside", |key| key.matches(['"', '\\']).count() % 2 == 0 && !key.contains('\\'))
        .prop_filter("one string", |key| !key.starts_with('"') || key.matches('"').count() == 2)
}

fn value() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        Just("x".to_owned()),
        "[a-z./:$*{}-]{0,12}",
        "[0-9]{1,3}(ms|s|m|MB|KiB|)",
        "[0-9]{1,2}/[smhd]",
        "(https://)?[a-z*]{1,3}(\\.[a-z]{2})?(:[0-9]{2})?(/\\{[a-z]{4}\\})?",
        "[($^a-z1|)]{1,6}",
        Just("/*".to_owned()),
        Just("web".to_owned()),
        Just("${A:-${B}}".to_owned()),
    ];
    let leaf = prop_oneof![
        4 => text.prop_map(|text| format!("\"{text}\"")),
        1 => any::<i64>().prop_map(|number| number.to_string()),
        1 => (0i64..10).prop_map(|number| number.to_string()),
        1 => any::<bool>().prop_map(|flag| flag.to_string()),
        1 => prop_oneof![Just("1.5"), Just("nan"), Just("-inf"), Just("1e999"), Just("1979-05-27")].prop_map(str::to_owned),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(", "))),
            proptest::collection::btree_map(key(), inner, 0..4).prop_map(|entries| {
                let entries: Vec<_> = entries.iter().map(|(key, value)| format!("{key} = {value}")).collect();
                format!("{{ {} }}", entries.join(", "))
            }),
        ]
    })
}

fn document() -> impl Strategy<Value = String> {
    let header = prop_oneof![
        Just("[[site]]".to_owned()),
        Just("[[site.route]]".to_owned()),
        Just("[app.web]".to_owned()),
        Just("[app.web.env]".to_owned()),
        "\\[app\\.[a-z]{1,2}\\]",
        Just("[site.route.headers]".to_owned()),
        Just("[edge]".to_owned()),
        Just("[[site]]\nhosts = ['a.example', 'b.localhost']\n[[site.route]]\nredirect = '/'".to_owned()),
        Just("[[site.route]]\nstatic = 'public'\n".to_owned()),
        Just("[listen]".to_owned()),
    ];
    let line =
        prop_oneof![2 => header, 5 => (key(), value()).prop_map(|(key, value)| format!("{key} = {value}"))];
    proptest::collection::vec(line, 0..16).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn any_text(text in "\\PC*|([\\[\\]={}\"'.,#\n\r a-z0-9$é]){0,80}") {
        check(&text);
    }

    #[test]
    fn any_document(text in document()) {
        check(&text);
    }
}

#[test]
fn deep_and_long_documents_end() {
    check(&format!("a = {}", "[".repeat(50_000)));
    check(&format!("{} = 1", vec!["a"; 20_000].join(".")));
    check(&format!("[{}]", vec!["a"; 20_000].join(".")));
    check(&format!("[app.web.env]\nA = '{}'", "${A:-".repeat(20_000)));
    let chain: String = (0..3000)
        .map(|index| format!("[app.a{index}]\nrun = ['x']\nneeds = ['a{}']\n", (index + 1) % 3000))
        .collect();
    check(&chain);
}
