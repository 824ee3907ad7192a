//! Who may ask, by address: the narrowest entry that holds it decides.

use crate::error_page::Refusal;
use ipnet::IpNet;
use model::policy::AccessSpec;
use prefix_trie::joint::map::JointPrefixMap;
use std::net::IpAddr;
use wire::failure::Cause;

/// Compiled.
#[derive(Debug)]
pub struct Access {
    /// True: may ask.
    nets: JointPrefixMap<IpNet, bool>,
    /// What holds for an address in none of them.
    others: bool,
}

impl Access {
    /// None where nobody is listed.
    pub fn new(spec: &AccessSpec) -> Option<Self> {
        if spec.allow.is_empty() && spec.deny.is_empty() {
            return None;
        }
        let mut nets = JointPrefixMap::new();
        for net in &spec.allow {
            nets.insert(net.trunc(), true);
        }
        // Of equal entries the one that denies holds.
        for net in &spec.deny {
            nets.insert(net.trunc(), false);
        }
        Some(Self { nets, others: spec.allow.is_empty() })
    }

    /// Lets a client pass or not.
    pub fn check(&self, client: IpAddr) -> Result<(), Refusal> {
        let allowed = self.nets.get_lpm(&IpNet::from(client)).map_or(self.others, |(_, &allowed)| allowed);
        if allowed {
            Ok(())
        } else {
            Err(Refusal::new(403, Cause::Access, "the client's address may not ask"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(allow: &[&str], deny: &[&str], client: &str) -> bool {
        let nets = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let access = Access::new(&AccessSpec { allow: nets(allow), deny: nets(deny) }).unwrap();
        access.check(client.parse().unwrap()).is_ok()
    }

    #[test]
    fn the_narrowest_entry_decides() {
        let (allow, deny) = (["10.0.0.0/8", "10.1.2.3/32"], ["10.1.0.0/16", "0.0.0.0/0"]);
        for (client, expected) in
            [("10.2.0.1", true), ("10.1.9.9", false), ("10.1.2.3", true), ("192.0.2.1", false)]
        {
            assert_eq!(allowed(&allow, &deny, client), expected, "{client}");
        }
    }

    #[test]
    fn without_an_entry_an_allow_list_shuts_and_a_deny_list_does_not() {
        assert!(!allowed(&["10.0.0.0/8"], &[], "192.0.2.1"));
        assert!(!allowed(&["10.0.0.0/8"], &[], "2001:db8::1"), "of the other family too");
        assert!(allowed(&[], &["10.0.0.0/8"], "192.0.2.1"));
        assert!(!allowed(&[], &["2001:db8::/32"], "2001:db8::1"));
        assert!(!allowed(&["10.0.0.0/8"], &["10.0.0.0/8"], "10.0.0.1"), "of equals the denial");
    }
}
