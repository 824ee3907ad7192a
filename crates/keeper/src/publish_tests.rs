//! Snapshots made of what is observed.

use super::*;
use crate::stack::tests::{app, spec, stack};
use model::observed::Event;
use model::spec::Listen;
use std::path::PathBuf;

#[test]
fn only_ready_and_draining_instances_are_endpoints() {
    let web = app("web", Listen::AnyPort);
    let print = web.fingerprint(0);
    let stack = stack(spec(&[("web", web)]));
    let mut desired = Desired::default();
    stack.desire(&mut desired);
    let mut observed = Observed::default();
    let mut facts = HashMap::new();
    let app = stack.app_id(&"web".parse().unwrap());
    for run in 1..=3 {
        let id = InstanceId { app: app.clone(), slot: run, run: u64::from(run) };
        observed.apply(Event::Started { instance: id.clone(), spec: print }, Duration::ZERO);
        let address = Some(Address::Tcp(([127, 0, 0, 1], 5000 + u16::try_from(run).unwrap()).into()));
        let (pid, started_ms, journal) = (None, None, None);
        let of_run =
            Facts { fingerprint: print, pid, address, started_ms, was_ready: true, not_asked: None, journal };
        facts.insert(id.clone(), of_run);
        if run > 1 {
            observed.apply(Event::Ready { instance: id.clone() }, Duration::ZERO);
        }
        if run > 2 {
            observed.apply(Event::Draining { instance: id }, Duration::ZERO);
        }
    }
    let stacks = BTreeMap::from([(stack.name.clone(), stack)]);
    let found = Found::new();
    let certificates = Certificates::new(PathBuf::new(), tokio::sync::mpsc::channel(1).0, Default::default());
    let sources = Sources {
        stacks: &stacks,
        desired: &desired,
        observed: &observed,
        facts: &facts,
        found: &found,
        certificates: &certificates,
        ticket_keys: &[],
        sticky_key: &StickyKey::default(),
        bans: &[],
        servers: &Servers::new(tokio::sync::mpsc::channel(1).0, Default::default()),
    };
    let made = parts(&sources).whole();
    let endpoints: Vec<_> =
        made.upstreams[0].endpoints.iter().map(|e| (e.instance.as_str(), e.draining)).collect();
    assert_eq!(endpoints, [("shop/web.2#2", false), ("shop/web.3#3", true)]);
    assert_eq!(made.upstreams[0].state, UpstreamState::Ready);
    assert_eq!(made.sites[0].hosts, ["web.test"]);
    assert_eq!(parts(&sources).whole(), made, "the same state gives the same snapshot");
    assert!(parts(&sources).is_same(&parts(&sources)));
}
