//! Expressions, as they are written and what they mean.

use super::*;
use Condition::*;

fn s(text: &str) -> String {
    text.to_owned()
}

#[test]
fn both_versions_and_any_case_are_read() {
    for (text, condition) in [
        ("Host(`a.test`)", Host(s("a.test"))),
        ("host(\"A.Test\")", Host(s("a.test"))),
        ("Host(`a.test`, `b.test`)", Any(vec![Host(s("a.test")), Host(s("b.test"))])),
        ("HostRegexp(`{sub:[a-z]+}.a.test`)", HostRegexp(s(r"^(?:[a-z]+)\.a\.test$"))),
        ("HostRegexp(`{any}.a.test`)", HostRegexp(s(r"^(?:[^.]+)\.a\.test$"))),
        (r"HostRegexp(`^.{2,3}\.test$`)", HostRegexp(s(r"^.{2,3}\.test$"))),
        ("Path(`/a/{id:[0-9]{2}}/b`)", PathRegexp(s("^/a/(?:[0-9]{2})/b$"))),
        ("PathPrefix(`/u/{name}`)", PathRegexp(s("^/u/(?:[^/]+)"))),
        ("PATHPREFIX(`/api`)", PathPrefix(s("/api"))),
        (r"PathRegexp(`\.(jpeg|png)$`)", PathRegexp(s(r"\.(jpeg|png)$"))),
        ("Method(`get`, `POST`)", Any(vec![Method(s("GET")), Method(s("POST"))])),
        ("Headers(`X-A`, `1`)", Header(s("X-A"), s("1"))),
        ("HeaderRegexp(`X-A`, `^1`)", HeaderRegexp(s("X-A"), s("^1"))),
        ("Query(`a=1`, `b=`)", All(vec![Query(s("a"), Some(s("1"))), Query(s("b"), None)])),
        ("Query(`a`, `1`)", Query(s("a"), Some(s("1")))),
        ("QueryRegexp(`a`, `^1`)", QueryRegexp(s("a"), s("^1"))),
        (
            "ClientIP(`10.0.0.1`, `::1/128`)",
            Any(vec![ClientIp("10.0.0.1/32".parse().unwrap()), ClientIp("::1/128".parse().unwrap())]),
        ),
    ] {
        assert_eq!(parse(text).as_ref(), Ok(&condition), "{text}");
        assert_eq!(parse(&super::text(&condition)).as_ref(), Ok(&condition), "{text}");
    }
}

#[test]
fn and_binds_before_or_and_not_before_both() {
    let condition =
        parse("!Path(`/a`) && Path(`/b`) || (Path(`/c`)||Path(`/d`)) && !(Path(`/e`) && !!Path(`/f`))");
    let path = |path: &str| Path(s(path));
    let not = |inner: Condition| Not(Box::new(inner));
    let expected = Any(vec![
        All(vec![not(path("/a")), path("/b")]),
        All(vec![Any(vec![path("/c"), path("/d")]), not(All(vec![path("/e"), path("/f")]))]),
    ]);
    assert_eq!(condition.as_ref(), Ok(&expected));
    assert_eq!(parse(&text(&expected)), condition);
}

#[test]
fn quotes_come_back_as_they_were() {
    let condition = Header(s("X"), s("a`\"\\b"));
    assert_eq!(parse(&text(&condition)), Ok(condition));
}

#[test]
fn a_fault_has_its_place() {
    for (text, at, what) in [
        ("Host(`a`) && Pth(`/x`)", 13..16, "there is no matcher `Pth`"),
        ("Host(`a`) Path(`/x`)", 10..11, "`&&` or `||` is expected here"),
        ("Host(`a`", 8..8, "`,` or `)` is expected here"),
        ("Host(`a)", 5..8, "these quotes are not closed"),
        ("Host(a)", 5..6, "a value in back-quotes is expected here"),
        ("Host()", 0..4, "`Host` has no value"),
        ("", 0..0, "a matcher is expected here"),
        ("Host(`a`) &&", 12..12, "a matcher is expected here"),
        ("(Host(`a`)", 10..10, "`)` is expected here"),
        ("Host(`a`))", 9..10, "this parenthesis closes nothing"),
        ("Host:a.test;Path:/x", 0..4, "this is the form of version 1 of Traefik"),
        ("Path(`x`)", 0..4, "\"x\" is no path: it begins with `/`"),
        ("ClientIP(`x`)", 0..8, "\"x\" is no address: not an address and not a network"),
        ("HostSNI(`x`)", 0..7, "`HostSNI` is of TCP routers, which see no HTTP"),
    ] {
        let fault = parse(text).expect_err(text);
        assert_eq!((fault.at, fault.what.as_str()), (at, what), "{text}");
    }
    assert!(parse("PathRegexp(`(`)").unwrap_err().what.contains("no regular expression"));
    assert!(parse(&format!("{}Path(`/a`){}", "(".repeat(99), ")".repeat(99))).is_err());
    assert_eq!(parse("Pathprefx(`/a`)").unwrap_err().help.as_deref(), Some("did you mean `PathPrefix`?"));
}

#[test]
fn regular_expressions_are_bounded() {
    assert!(parse("PathRegexp(`(?:a{1000}){1000}`)").unwrap_err().what.contains("no regular expression"));
}
