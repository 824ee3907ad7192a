//! What is spoken before HTTP: versions and suites, what an application learns of them, and where plain HTTP is led.

use crate::{FROM_FILES, ask, public};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;
use testkit::backend::Backend;
use testkit::{FrontDoor, HOST};

/// A ClientHello (RFC 5246 section 7.4.1.2) of this version at most, with these suites and all that a modern client says else.
fn hello(version: u16, suites: &[u16]) -> Vec<u8> {
    let vector = |bytes: &[u8]| [&u16::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
    let words = |words: &[u16]| -> Vec<u8> { words.iter().flat_map(|word| word.to_be_bytes()).collect() };
    let extension = |kind: u16, body: Vec<u8>| [kind.to_be_bytes().to_vec(), vector(&body)].concat();
    let name = [&[0_u8][..], &vector(HOST.as_bytes())].concat();
    let extensions = [
        extension(0, vector(&name)),
        extension(10, vector(&words(&[0x001d, 0x0017, 0x0018]))),
        extension(11, vec![1, 0]),
        extension(13, vector(&words(&[0x0403, 0x0503, 0x0804, 0x0805, 0x0401, 0x0501, 0x0203, 0x0201]))),
        extension(23, Vec::new()),
    ]
    .concat();
    let body =
        [&version.to_be_bytes()[..], &[7; 32], &[0], &vector(&words(suites)), &[1, 0], &vector(&extensions)]
            .concat();
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let handshake = [&[1][..], &length[1..], &body].concat();
    [&[22, 3, 1][..], &vector(&handshake)].concat()
}

/// The suite that the server chose; none: it refused.
fn chosen(door: &FrontDoor, version: u16, suites: &[u16]) -> Option<u16> {
    const SERVER_HELLO: u8 = 2;
    let mut stream = TcpStream::connect(("127.0.0.1", door.https)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(&hello(version, suites)).unwrap();
    let mut record = [0; 5];
    if stream.read_exact(&mut record).is_err() || record[0] != 22 {
        return None;
    }
    let mut message = vec![0; usize::from(u16::from_be_bytes([record[3], record[4]]))];
    stream.read_exact(&mut message).unwrap();
    assert_eq!(message[0], SERVER_HELLO);
    let after_session = 39 + usize::from(message[38]);
    Some(u16::from_be_bytes([message[after_session], message[after_session + 1]]))
}

// req: TLS-14, TLS-15
#[test]
fn only_new_versions_and_strong_suites_are_spoken() {
    let manifest = format!("[[site]]\nhosts = [\"{HOST}\"]\n[[site.route]]\nstatic = \"public\"\n");
    let door = FrontDoor::secure(&manifest, &[("public/index.html", "x")]);
    // ephemeral elliptic curves with GCM or ChaCha20-Poly1305
    const STRONG: [u16; 6] = [0xc02b, 0xc02c, 0xc02f, 0xc030, 0xcca8, 0xcca9];
    let all: Vec<u16> = (0..=0x00ff).chain(0xc001..=0xc0ff).chain(0xcc13..=0xccae).collect();
    assert!(chosen(&door, 0x0303, &all).is_some_and(|suite| STRONG.contains(&suite)), "TLS 1.2 is spoken");
    let weak: Vec<u16> = all.iter().copied().filter(|suite| !STRONG.contains(suite)).collect();
    assert_eq!(chosen(&door, 0x0303, &weak), None, "all that is weak");
    let accepted: Vec<u16> =
        all.iter().copied().filter(|suite| chosen(&door, 0x0303, &[*suite]).is_some()).collect();
    assert!(!accepted.is_empty() && accepted.iter().all(|suite| STRONG.contains(suite)), "{accepted:x?}");
    for version in [0x0300, 0x0301, 0x0302] {
        assert_eq!(chosen(&door, version, &all), None, "version {version:x}");
    }
    let client = door.client();
    let answer = client.get(door.https, HOST, "/").unwrap();
    assert_eq!(door.line_of(&answer)["tls"], "TLSv1.3");
}

// req: TLS-01
#[test]
fn an_application_behind_tls_speaks_plain_http_and_is_told() {
    let backend = Backend::echo();
    let manifest = format!(
        "[[site]]\nhosts = [\"{HOST}\"]\nhttps_redirect = false\n[[site.route]]\nproxy = \"127.0.0.1:{}\"\n",
        backend.port()
    );
    let door = FrontDoor::secure(&manifest, &[]);
    assert_eq!(door.client().get(door.https, HOST, "/a?b").unwrap().status, 200);
    assert_eq!(ask(&door, HOST, "/a?b", "X-Forwarded-Proto: https\r\n").status, 200);
    for (request, scheme) in backend.ledger().iter().zip(["https", "http"]) {
        assert_eq!(
            (&*request.line, request.header("x-forwarded-proto")),
            ("GET /a?b HTTP/1.1", Some(scheme))
        );
    }
}

/// The public names of the five seeds.
const NAMES: [&str; 6] = [
    "art.example.org",
    "shop.example.com",
    "imagineer-api.joshwentworth.com",
    "yourdomain.com",
    "api.yourdomain.com",
    "board.example.net",
];

// req: TLS-13, SEC-40
#[test]
fn plain_http_is_led_to_https_and_reaches_nobody() {
    let backend = Backend::echo();
    let names = NAMES.map(|name| format!("\"{name}\"")).join(", ");
    let manifest = format!(
        "[[site]]\nhosts = [{names}]\n{FROM_FILES}[[site.route]]\nproxy = \"127.0.0.1:{}\"\n",
        backend.port()
    );
    let (door, client) = public(&NAMES, &manifest, &[]);
    for name in NAMES {
        for path in ["/", "/x?y=1", "/a%20b/%C3%BC?q=a%26b&c=//d", "/api/upload", "/.well-known/other"] {
            let answer = ask(&door, &format!("{name}:{}", door.port), path, "");
            let place = format!("https://{name}:{}{path}", door.https);
            assert_eq!((answer.status, answer.header("location")), (301, Some(&*place)), "{name}");
            assert_eq!(answer.header("strict-transport-security"), None);
        }
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            let request = format!(
                "{method} /x HTTP/1.1\r\nHost: {name}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
            );
            let status = door.ask(&request).status;
            assert!(matches!(status, 301 | 308), "{method}: {status}");
        }
        assert_eq!(backend.ledger().len(), 0, "{name} was reached in the clear");
        assert_eq!(client.get(door.https, name, "/x?y=1").unwrap().status, 200);
        assert_eq!(backend.take_ledger().len(), 1);
    }
    // what authorities ask for is answered in the clear where it is ours, and nothing else is by that way
    const CHALLENGES: &str = "/.well-known/acme-challenge/";
    for rest in ["token", "../../x", "%2e%2e/%2e%2e/x", "..%2f..%2fx", "./../../x"] {
        let answer = ask(&door, NAMES[0], &format!("{CHALLENGES}{rest}"), "");
        assert!(matches!(answer.status, 301 | 400 | 404), "{rest}: {}", answer.status);
    }
    assert_eq!(backend.ledger().len(), 0);
}
