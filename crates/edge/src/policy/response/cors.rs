//! Cross-origin resource sharing (WHATWG Fetch, section 3.3), spoken by the edge: for the application, for files, and on
//! answers of the edge's own, so that a script can also read why it failed. What the application says about it is
//! replaced, never doubled.
//!
//! An origin that is not listed gets no word of it, and its preflight is refused (403): the browser then sends nothing.

use crate::policy::lines;
use http1::{FieldId, Method, RequestHead};
use model::policy::CorsSpec;

/// What the edge and the application could both say.
const OURS: &[u8] = b"access-control-";

/// Compiled.
#[derive(Debug)]
pub struct Cors {
    /// Any origin, without credentials.
    any: bool,
    origins: Box<[Box<[u8]>]>,
    /// Lines of every answer to an origin that is allowed.
    always: Vec<u8>,
    /// Lines of an answer to a preflight.
    preflight: Vec<u8>,
    /// What the preflight asks for is allowed.
    all_headers: bool,
}

/// An answer to a preflight.
#[derive(Debug, PartialEq, Eq)]
pub struct Preflight {
    /// Its origin is listed: 204, else 403.
    pub allowed: bool,
    /// Lines for its head, beside those that [`Cors::apply`] puts on every answer: to be added *behind* it.
    pub lines: Vec<u8>,
}

impl Cors {
    /// Of a route.
    pub fn new(spec: &CorsSpec) -> Self {
        let any = spec.origins.iter().any(|origin| origin == "*");
        let (mut always, mut preflight) = (Vec::new(), Vec::new());
        if spec.credentials && !any {
            lines::add(&mut always, b"Access-Control-Allow-Credentials", b"true");
        }
        let add_list = |out: &mut Vec<u8>, name: &str, values: &[String]| {
            if !values.is_empty() {
                lines::add(out, name.as_bytes(), values.join(", ").as_bytes());
            }
        };
        add_list(&mut always, "Access-Control-Expose-Headers", &spec.expose);
        add_list(&mut preflight, "Access-Control-Allow-Methods", &spec.methods);
        add_list(&mut preflight, "Access-Control-Allow-Headers", &spec.headers);
        lines::add(&mut preflight, b"Access-Control-Max-Age", spec.max_age.to_string().as_bytes());
        let origins = spec.origins.iter().map(|origin| origin.as_bytes().into()).collect();
        Self { any, origins, always, preflight, all_headers: spec.headers.is_empty() }
    }

    fn allows(&self, origin: &[u8]) -> bool {
        self.any || self.origins.iter().any(|listed| **listed == *origin)
    }

    /// Says on the head at `start` what holds for a request from `origin`.
    pub fn apply(&self, out: &mut Vec<u8>, start: usize, origin: Option<&[u8]>) {
        lines::remove(out, start, |name| {
            name.get(..OURS.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(OURS))
        });
        if self.any {
            lines::add(out, b"Access-Control-Allow-Origin", b"*");
            out.extend_from_slice(&self.always);
            return;
        }
        // Also where it is not allowed or not named: the answer would be another one to another origin.
        lines::add_vary(out, start, b"Origin");
        if let Some(origin) = origin.filter(|origin| self.allows(origin)) {
            lines::add(out, b"Access-Control-Allow-Origin", origin);
            out.extend_from_slice(&self.always);
        }
    }

    /// The answer to a preflight: `OPTIONS` with `Origin` and `Access-Control-Request-Method`. `None`: it is none.
    pub fn preflight(&self, buf: &[u8], head: &RequestHead) -> Option<Preflight> {
        if head.method != Method::Options {
            return None;
        }
        let named = |name: &[u8]| head.named(name, buf).next();
        let origin = head.value(FieldId::Origin, buf)?;
        named(b"Access-Control-Request-Method")?;
        let allowed = self.allows(origin);
        let mut lines = Vec::new();
        if allowed {
            lines.extend_from_slice(&self.preflight);
            if let Some(wanted) = named(b"Access-Control-Request-Headers").filter(|_| self.all_headers) {
                lines::add(&mut lines, b"Access-Control-Allow-Headers", wanted);
            }
            lines::add(&mut lines, b"Vary", b"Access-Control-Request-Method, Access-Control-Request-Headers");
        }
        Some(Preflight { allowed, lines })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http1::{Limits, parse_request};

    fn spec(origins: &[&str]) -> CorsSpec {
        CorsSpec {
            origins: origins.iter().map(|&origin| origin.to_owned()).collect(),
            methods: vec!["GET".into(), "PUT".into()],
            headers: Vec::new(),
            expose: vec!["X-Total".into()],
            credentials: true,
            max_age: 600,
        }
    }

    fn applied(origins: &[&str], origin: Option<&str>) -> String {
        let app = "Access-Control-Allow-Origin: *\r\naccess-control-allow-credentials: true\r\n";
        let mut out = format!("HTTP/1.1 200 OK\r\n{app}A: 1\r\n").into_bytes();
        Cors::new(&spec(origins)).apply(&mut out, 0, origin.map(str::as_bytes));
        String::from_utf8(out).unwrap().split_off("HTTP/1.1 200 OK\r\n".len())
    }

    #[test]
    fn a_listed_origin_is_echoed_and_no_other() {
        let listed = ["https://a.test", "https://b.test"];
        let allowed = "A: 1\r\nVary: Origin\r\nAccess-Control-Allow-Origin: https://b.test\r\n\
Access-Control-Allow-Credentials: true\r\nAccess-Control-Expose-Headers: X-Total\r\n";
        assert_eq!(applied(&listed, Some("https://b.test")), allowed);
        for other in ["https://c.test", "http://b.test", "https://b.test.evil", "https://b.tes", "null"] {
            assert_eq!(applied(&listed, Some(other)), "A: 1\r\nVary: Origin\r\n", "{other}");
        }
        assert_eq!(applied(&listed, None), "A: 1\r\nVary: Origin\r\n");
    }

    #[test]
    fn any_origin_never_comes_with_credentials() {
        let any = "A: 1\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Expose-Headers: X-Total\r\n";
        assert_eq!(applied(&["*"], Some("https://c.test")), any);
    }

    #[test]
    fn a_preflight_is_known_by_its_three_marks() {
        let ask = |head: &str| {
            let buf = format!("{head}\r\n\r\n");
            let head = parse_request(buf.as_bytes(), &Limits::DEFAULT).unwrap().unwrap();
            Cors::new(&spec(&["https://a.test"])).preflight(buf.as_bytes(), &head)
        };
        let options = "OPTIONS / HTTP/1.1\r\nHost: x\r\n";
        let wanted = "Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: x-a, x-b";
        let allowed = ask(&format!("{options}Origin: https://a.test\r\n{wanted}")).unwrap();
        let lines = String::from_utf8(allowed.lines).unwrap();
        assert!(allowed.allowed && lines.contains("Access-Control-Allow-Methods: GET, PUT\r\n"), "{lines}");
        assert!(lines.contains("Access-Control-Allow-Headers: x-a, x-b\r\n"), "{lines}");
        assert!(lines.contains("Access-Control-Max-Age: 600\r\n"), "{lines}");
        let refused = ask(&format!("{options}Origin: https://c.test\r\n{wanted}")).unwrap();
        assert_eq!(refused, Preflight { allowed: false, lines: Vec::new() });
        assert_eq!(ask(&format!("{options}Origin: https://a.test")), None);
        assert_eq!(ask(&format!("{options}{wanted}")), None);
        assert_eq!(ask(&format!("GET / HTTP/1.1\r\nHost: x\r\nOrigin: https://a.test\r\n{wanted}")), None);
    }
}
