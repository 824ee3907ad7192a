//! Upstreams made of others: another port of an app, several apps by weight; and what leads to them unseen.

use super::{Sources, app};
use crate::stack::Stack;
use model::network::ForwardSpec;
use model::observed::Address;
use model::site::Balance;
use model::spec::ShareSpec;
use model::traffic::TrafficSpec;
use model::{AppId, StackName};
use wire::snapshot::{Endpoint, Forward, Upstream, UpstreamState};

pub(super) fn forward(stack: &StackName, spec: &ForwardSpec) -> Forward {
    let app = AppId { stack: stack.clone(), app: spec.app.clone() }.to_string();
    let upstream = spec.port.map_or_else(|| app.clone(), |port| port_id(&app, port));
    Forward { address: spec.listen, protocol: spec.protocol, upstream }
}

/// Id of the upstream that is another port of an app.
pub(super) fn port_id(app: &str, port: u16) -> String {
    format!("{app}:{port}")
}

/// The same instances at another port.
pub(super) fn port_of(app: Upstream, port: u16) -> Upstream {
    let at = |endpoint: Endpoint| match endpoint.address {
        Address::Tcp(address) => {
            Some(Endpoint { address: Address::Tcp((address.ip(), port).into()), ..endpoint })
        }
        Address::Unix(_) => None,
    };
    let endpoints = app.endpoints.into_iter().filter_map(at).collect();
    Upstream { id: port_id(&app.id, port), endpoints, ..app }
}

/// Id of the upstream of several apps.
pub(super) fn shares_id(stack: &StackName, shares: &[ShareSpec]) -> String {
    let names: Vec<&str> = shares.iter().map(|share| share.app.as_str()).collect();
    let text = serde_json::to_vec(shares).unwrap_or_default();
    format!("{stack}/{}#{:08x}", names.join("+"), model::id::fnv1a(&text) & 0xffff_ffff)
}

/// The instances of several apps, each with its app's weight. They are met as those of the first.
pub(super) fn shares(sources: &Sources<'_>, stack: &Stack, shares: &[ShareSpec]) -> Upstream {
    let mut apps = shares.iter().map(|share| {
        let own = app(sources, stack.app_id(&share.app));
        let mut own = share.port.map_or_else(|| own.clone(), |port| port_of(own.clone(), port));
        own.endpoints.iter_mut().for_each(|endpoint| endpoint.weight = share.weight);
        own
    });
    let id = shares_id(&stack.name, shares);
    let first = apps.next().unwrap_or_else(|| Upstream {
        id: id.clone(),
        state: UpstreamState::Down,
        balance: Balance::RoundRobin,
        http2: false,
        endpoints: Vec::new(),
        traffic: TrafficSpec::default(),
        aside: Vec::new(),
    });
    let whole = apps.fold(first, |mut whole, own| {
        // The better state of the two: who may answer soonest is waited for.
        if rank(own.state) < rank(whole.state) {
            whole.state = own.state;
        }
        whole.endpoints.extend(own.endpoints);
        whole.aside.extend(own.aside);
        whole
    });
    Upstream { id, balance: Balance::RoundRobin, ..whole }
}

fn rank(state: UpstreamState) -> u8 {
    match state {
        UpstreamState::Ready => 0,
        UpstreamState::Starting => 1,
        UpstreamState::Restarting => 2,
        UpstreamState::Asleep => 3,
        UpstreamState::Unhealthy => 4,
        UpstreamState::Down => 5,
    }
}
