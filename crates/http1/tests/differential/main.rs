//! Hostile and odd requests, read by our codec, by hyper and by Node. Every difference is listed in `cases` with the reason why
//! ours is right; one that is not listed fails the test.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // in the helpers of tests

mod cases;
mod peers;

use cases::{CASES, Case, REFUSED};

/// Follows every case whose connection goes on: whoever frames the case otherwise does not see it as a request of its own.
const SENTINEL: &str = "GET /sentinel HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

/// The version of Node that the table was made with.
const NODE_MAJOR: u32 = 20;

fn bytes(case: &Case) -> Vec<u8> {
    let last = case.ours != REFUSED && !case.ours.ends_with("GET /sentinel 0");
    [case.raw, if last { b"" } else { SENTINEL.as_bytes() }].concat()
}

#[test]
fn the_table_is_whole() {
    assert!(CASES.len() >= 40);
    for case in CASES {
        assert_eq!(peers::ours(&bytes(case)), case.ours, "{}", case.raw.escape_ascii());
        assert!(
            (case.hyper.is_none() && case.node.is_none()) == case.why.is_empty(),
            "a difference needs a reason, and only it: {}",
            case.raw.escape_ascii()
        );
        assert!(case.hyper != Some(case.ours) && case.node != Some(case.ours), "no difference");
    }
}

/// The differences that are not listed.
fn unlisted(
    peer: &str,
    seen: impl Fn(&[u8]) -> String,
    listed: impl Fn(&Case) -> Option<&'static str>,
) -> Vec<String> {
    let mut unlisted = Vec::new();
    for case in CASES {
        let seen = seen(&bytes(case));
        if seen != case.ours && Some(seen.as_str()) != listed(case) {
            let raw = case.raw.escape_ascii();
            unlisted.push(format!("{raw}\n   ours: {}\n   {peer}: {seen}", case.ours));
        } else if seen == case.ours && listed(case).is_some() {
            println!("{peer} of this version no longer differs: {}", case.raw.escape_ascii());
        }
    }
    unlisted
}

#[test]
fn against_hyper() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let unlisted = unlisted("hyper", |raw| runtime.block_on(peers::hyper(raw)), |case| case.hyper);
    assert!(unlisted.is_empty(), "differences not listed:\n{}", unlisted.join("\n"));
}

#[test]
fn against_node() {
    let Some(node) = peers::Node::start() else {
        println!("skipped: no `node` here");
        return;
    };
    let unlisted = unlisted("node", |raw| node.read(raw), |case| case.node);
    // the table is that of one major version; what others do differently is worth reading, not a fault of ours
    if node.major == NODE_MAJOR {
        assert!(unlisted.is_empty(), "differences not listed:\n{}", unlisted.join("\n"));
    } else {
        println!("Node {} also differs in:\n{}", node.major, unlisted.join("\n"));
    }
}
