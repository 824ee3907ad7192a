//! Handshakes for names that there is no certificate for yet.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use edge::Deadlines;
use rustls::{AlertDescription, Error};
use support::tls::*;
use support::*;
use wire::edge::FromEdge;
use wire::snapshot::Snapshot;

fn demanding() -> Snapshot {
    let mut table = proxying(&[Backend::echoing().address]);
    table.sites[0].hosts = vec!["*".into()];
    Snapshot { on_demand: true, certificates: vec![pair(&["own.test"]).0], ..table }
}

#[test]
fn a_handshake_waits_for_a_certificate_that_is_got_for_it() {
    let mut table = demanding();
    let edge = behind(&[SECURE], &table);
    let door = edge.doors[0].address;
    let (given, der) = pair(&["new.test"]);
    let config = client(&[&der], &[TLS13]);
    let served = std::thread::scope(|scope| {
        let ask = |name: &'static str| {
            let config = &config;
            move || {
                connect(config, door, name)
                    .map(|mut stream| exchange(&mut stream, &get("new.test", "/")).status)
            }
        };
        let waiting: Vec<_> = ["new.test", "NEW.test"].map(|name| scope.spawn(ask(name))).into();
        assert_eq!(edge.hear(), FromEdge::Unknown { name: "new.test".into() });
        // Another table that does not have it changes nothing.
        table.revision += 1;
        edge.apply(&edge.with_its_doors(&table));
        until(|| edge.stats().connections == 2);
        table.revision += 1;
        table.certificates.push(given);
        edge.apply(&edge.with_its_doors(&table));
        waiting.into_iter().map(|asked| asked.join().unwrap().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(served, [200, 200]);
    // It was said once: nothing was heard in between but answers to what was asked.
    until(|| edge.stats().connections == 0);
}

#[test]
fn who_waits_in_vain_is_refused_as_ever() {
    let deadlines = Deadlines { head_ms: 400, ..Deadlines::default() };
    let edge = Edge::with_doors(deadlines, 1, &[SECURE], &demanding());
    let (_, der) = pair(&["new.test"]);
    let config = client(&[&der], &[TLS13]);
    let unrecognized = Error::AlertReceived(AlertDescription::UnrecognisedName);
    assert_eq!(refusal(&config, edge.doors[0].address, "new.test"), unrecognized);
    assert_eq!(edge.hear(), FromEdge::Unknown { name: "new.test".into() });
    // Names that nobody could get a certificate for are not asked for, and do not wait.
    for name in ["localhost", "a_b.test", "127.0.0.1"] {
        assert_eq!(refusal(&config, edge.doors[0].address, name), unrecognized, "{name}");
    }
    until(|| edge.stats().connections == 0);
}

#[test]
fn a_name_is_kept_for_the_next_keeper() {
    let deadlines = Deadlines { head_ms: 400, ..Deadlines::default() };
    let edge = Edge::with_doors(deadlines, 1, &[SECURE], &demanding());
    edge.drop_keeper();
    assert!(
        connect(&client(&[&pair(&["new.test"]).1], &[TLS13]), edge.doors[0].address, "new.test").is_err()
    );
    edge.connect_keeper();
    assert_eq!(edge.hear(), FromEdge::Unknown { name: "new.test".into() });
}

#[test]
fn where_nobody_is_asked_a_handshake_is_refused_at_once() {
    let edge = behind(&[SECURE], &Snapshot { on_demand: false, ..demanding() });
    let (_, der) = pair(&["new.test"]);
    let config = client(&[&der], &[TLS13]);
    let unrecognized = Error::AlertReceived(AlertDescription::UnrecognisedName);
    assert_eq!(refusal(&config, edge.doors[0].address, "new.test"), unrecognized);
    until(|| edge.stats().connections == 0);
}
