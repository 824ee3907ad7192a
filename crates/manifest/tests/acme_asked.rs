//! `--acme EMAIL`: certificates from an authority without a word in the manifest.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // helpers of tests too; files of tests need not last

use manifest::Compose;
use model::site::TlsSpec;

fn loaded(text: &str, acme: Option<&str>) -> manifest::StackSpec {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("mainstay.toml"), text).unwrap();
    let asked = Compose { acme: acme.map(str::to_owned), ..Compose::default() };
    manifest::load_with(folder.path(), &asked, &|_| None).unwrap().spec
}

const SITE: &str = "[[site]]\nhosts = [\"shop.de\"]\n[[site.route]]\nredirect = \"https://example.org\"\n";

// req: TLS-18
#[test]
fn the_answer_to_the_question_gives_certificate_ports_and_redirect() {
    let spec = loaded(SITE, Some("admin@shop.de"));
    assert!(matches!(spec.sites[0].tls, TlsSpec::Acme(_)) && spec.sites[0].https_redirect);
    assert_eq!(spec.acme.unwrap().authorities[0].email.as_deref(), Some("admin@shop.de"));
    let port = |list: &[std::net::SocketAddr], port| list.iter().any(|address| address.port() == port);
    assert!(port(&spec.http, 80) && port(&spec.https, 443));
    assert!(loaded(SITE, None).acme.is_none());
}

#[test]
fn what_is_written_stands() {
    let text = format!("[listen]\nhttps = \"127.0.0.1:8443\"\n[acme]\nemail = \"own@shop.de\"\n{SITE}");
    let spec = loaded(&text, Some("admin@shop.de"));
    assert_eq!(spec.acme.unwrap().authorities[0].email.as_deref(), Some("own@shop.de"));
    assert_eq!(spec.https, ["127.0.0.1:8443".parse().unwrap()]);
}
