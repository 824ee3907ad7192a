//! What stacks say about the edge as a whole, made one: they share it. A stack that says nothing about a matter does not count there; of
//! those that do, the strictest does.

use model::site::{BanRule, EdgeSpec, LogFormat};
use std::cmp::Reverse;

/// One of all.
pub(crate) fn edge_spec<'a>(specs: impl Iterator<Item = &'a EdgeSpec> + Clone) -> EdgeSpec {
    let default = EdgeSpec::default();
    let lowest = |of: fn(&EdgeSpec) -> u32| {
        let usual = of(&default);
        specs.clone().map(of).filter(|value| *value != usual).min().unwrap_or(usual)
    };
    let strictness = |rule: &BanRule| (rule.offences, Reverse(rule.within_s), Reverse(rule.ban_s));
    let combined = specs.clone().any(|spec| spec.access_log == LogFormat::Combined);
    EdgeSpec {
        access_log: if combined { LogFormat::Combined } else { LogFormat::Json },
        ban: specs.clone().filter_map(|spec| spec.ban).min_by_key(strictness),
        client_connections: lowest(|spec| spec.client_connections),
        client_connects: lowest(|spec| spec.client_connects),
        limit_loopback: specs.clone().any(|spec| spec.limit_loopback),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_says_nothing_does_not_count_and_the_strictest_does() {
        let rule = |offences, ban_s| Some(BanRule { offences, within_s: 60, ban_s });
        let silent = EdgeSpec::default();
        let generous = EdgeSpec { client_connections: 9000, ban: rule(10, 5), ..EdgeSpec::default() };
        let strict = EdgeSpec { client_connections: 2000, ban: rule(10, 50), ..EdgeSpec::default() };
        assert_eq!(edge_spec([&silent, &silent].into_iter()), silent);
        assert_eq!(edge_spec([&silent, &generous].into_iter()), generous);
        assert_eq!(edge_spec([&generous, &silent, &strict].into_iter()), strict);
        assert_eq!(edge_spec([].into_iter()), silent);
    }
}
