//! What is left of a rule once the host is known.

use crate::condition::{all, any};
use model::condition::Condition;
use regex::Regex;
use std::collections::BTreeSet;

/// Always true.
pub const TRUE: Condition = Condition::All(Vec::new());
/// Never true.
pub const FALSE: Condition = Condition::Any(Vec::new());

/// All hosts that a rule names.
pub fn named(condition: &Condition, hosts: &mut Vec<String>, seen: &mut BTreeSet<String>) {
    match condition {
        Condition::All(list) | Condition::Any(list) => list.iter().for_each(|one| named(one, hosts, seen)),
        Condition::Not(inner) => named(inner, hosts, seen),
        Condition::Host(host) if seen.insert(host.clone()) => hosts.push(host.clone()),
        _ => {}
    }
}

/// What is left for a host; `None`: for all hosts that no rule names.
pub fn left(condition: &Condition, host: Option<&str>) -> Condition {
    let known = |known: bool| if known { TRUE } else { FALSE };
    match (condition, host) {
        (Condition::Host(own), host) => known(host == Some(own)),
        (Condition::HostRegexp(pattern), Some(host)) => {
            known(Regex::new(pattern).is_ok_and(|regex| regex.is_match(host)))
        }
        (Condition::PathPrefix(prefix), _) if prefix == "/" => TRUE,
        (Condition::Not(inner), host) => match left(inner, host) {
            inner if inner == TRUE => FALSE,
            inner if inner == FALSE => TRUE,
            inner => Condition::Not(Box::new(inner)),
        },
        (Condition::All(list), host) => {
            let left: Vec<Condition> =
                list.iter().map(|one| left(one, host)).filter(|one| *one != TRUE).collect();
            if left.contains(&FALSE) { FALSE } else { all(left) }
        }
        (Condition::Any(list), host) => {
            let left: Vec<Condition> =
                list.iter().map(|one| left(one, host)).filter(|one| *one != FALSE).collect();
            if left.contains(&TRUE) { TRUE } else { any(left) }
        }
        (other, _) => other.clone(),
    }
}

/// A rule as `path` and `when` of a route.
pub fn path_and_rest(condition: Condition) -> (String, Option<Condition>) {
    let fits = |path: &str| crate::values::pattern(path).is_ok() && !path.ends_with("/*");
    match condition {
        condition if condition == TRUE => ("/*".to_owned(), None),
        Condition::Path(path) if fits(&path) => (path, None),
        Condition::All(mut list) => {
            let exact = list.iter().position(|one| matches!(one, Condition::Path(path) if fits(path)));
            match exact.map(|at| list.remove(at)) {
                Some(Condition::Path(path)) => (path, Some(all(list))),
                _ => ("/*".to_owned(), Some(all(list))),
            }
        }
        other => ("/*".to_owned(), Some(other)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::condition::{parse, text};

    #[test]
    fn a_known_host_is_taken_out_of_a_rule() {
        for (rule, host, expected) in [
            ("Host(`a`)", Some("a"), "true"),
            ("Host(`a`)", Some("b"), "false"),
            ("Host(`a`)", None, "false"),
            ("Host(`a`, `b`) && PathPrefix(`/api`)", Some("b"), "PathPrefix(`/api`)"),
            ("!Host(`a`) && Path(`/x`)", None, "Path(`/x`)"),
            ("!Host(`a`)", Some("a"), "false"),
            ("HostRegexp(`^.+\\.a$`) && PathPrefix(`/`)", Some("x.a"), "true"),
            ("HostRegexp(`^.+\\.a$`)", Some("a"), "false"),
            ("HostRegexp(`^.+\\.a$`)", None, "HostRegexp(`^.+\\.a$`)"),
            ("Host(`a`) && Path(`/x`) || Host(`b`) && Path(`/y`)", Some("b"), "Path(`/y`)"),
            ("PathPrefix(`/`) || Path(`/x`)", None, "true"),
        ] {
            let left = left(&parse(rule).unwrap(), host);
            let shown = match &left {
                left if *left == TRUE => "true".to_owned(),
                left if *left == FALSE => "false".to_owned(),
                left => text(left),
            };
            assert_eq!(shown, expected, "{rule} {host:?}");
        }
    }
}
