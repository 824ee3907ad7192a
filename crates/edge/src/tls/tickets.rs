//! Resumption tickets (RFC 5077, RFC 8446 section 4.6.1) with the snapshot's keys: whoever has the key can resume the session, on
//! whatever core or edge it began.
//!
//! ```text
//!   ticket: name of the key (16) │ nonce (12) │ session, AES-256-GCM │ tag (16)      authenticated with it: name, scope
//! ```
//! The keeper rotates the keys; the first one makes tickets, all of them open them. A ticket holds within its *scope* alone: the
//! certificate that the session began with, and what clients had to show. So whoever resumes sees a renewed one at the next handshake, and not when its
//! tickets have run out, which may be never: each resumed session gives another.

use super::certificates::Digest;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use rustls::server::ProducesTickets;
use std::fmt;
use std::sync::Arc;
use wire::snapshot::TicketKey;

/// Seconds a ticket is said to be of use; its key may go earlier, then the handshake is a full one.
const LIFETIME: u32 = 12 * 3600;
/// Bytes of a key's name.
const NAME: usize = 16;

/// The keys, ready to be used.
pub struct Keys(Vec<([u8; NAME], RandomizedNonceKey)>);

/// Makes and opens tickets.
pub struct Tickets {
    keys: Arc<Keys>,
    scope: [Digest; 2],
}

impl Keys {
    /// The current one first; with none there are no tickets.
    pub fn new(keys: &[TicketKey]) -> Self {
        let ready = |key: &TicketKey| {
            // Fails only for another length than this algorithm's.
            RandomizedNonceKey::new(&AES_256_GCM, &key.secret).ok().map(|secret| (key.name, secret))
        };
        Self(keys.iter().filter_map(ready).collect())
    }
}

impl Tickets {
    /// With these keys, and for whom they hold; another scope's tickets are none.
    pub fn new(keys: &Arc<Keys>, scope: [Digest; 2]) -> Self {
        Self { keys: Arc::clone(keys), scope }
    }

    fn scoped(&self, name: &[u8]) -> Aad<Vec<u8>> {
        Aad::from([name, self.scope.as_flattened()].concat())
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").field("keys", &self.keys.0.len()).finish()
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        !self.keys.0.is_empty()
    }

    fn lifetime(&self) -> u32 {
        LIFETIME
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let (name, key) = self.keys.0.first()?;
        let mut sealed = plain.to_vec();
        let nonce = key.seal_in_place_append_tag(self.scoped(name), &mut sealed).ok()?;
        Some([name.as_slice(), nonce.as_ref(), &sealed].concat())
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_at_checked(NAME)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
        let (_, key) = self.keys.0.iter().find(|(known, _)| known == name)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut opened = sealed.to_vec();
        let length = key.open_in_place(nonce, self.scoped(name), &mut opened).ok()?.len();
        opened.truncate(length);
        Some(opened)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> TicketKey {
        TicketKey { name: [number; 16], secret: [number.wrapping_mul(7); 32] }
    }

    fn tickets(numbers: &[u8], scope: u8) -> Tickets {
        let keys: Vec<TicketKey> = numbers.iter().map(|&number| key(number)).collect();
        Tickets::new(&Arc::new(Keys::new(&keys)), [[scope; 32], [0; 32]])
    }

    #[test]
    fn the_first_key_makes_tickets_and_all_open_them() {
        let (old, new) = (tickets(&[1], 0), tickets(&[2, 1], 0));
        let ticket = old.encrypt(b"a session").unwrap();
        assert_eq!(new.decrypt(&ticket).unwrap(), b"a session");
        assert_eq!(old.decrypt(&new.encrypt(b"another").unwrap()), None, "a key it does not have");
        assert!(!tickets(&[], 0).enabled() && tickets(&[], 0).encrypt(b"x").is_none());
        assert_eq!(tickets(&[2, 1], 1).decrypt(&ticket), None, "of another scope");
    }

    #[test]
    fn a_changed_ticket_is_none() {
        let tickets = tickets(&[1, 2], 0);
        let ticket = tickets.encrypt(b"a session").unwrap();
        for at in 0..ticket.len() {
            let mut changed = ticket.clone();
            changed[at] ^= 1;
            assert_eq!(tickets.decrypt(&changed), None, "byte {at}");
            assert_eq!(tickets.decrypt(&ticket[..at]), None, "{at} bytes of it");
        }
        let mut renamed = ticket;
        renamed[..16].copy_from_slice(&[2; 16]);
        assert_eq!(tickets.decrypt(&renamed), None);
    }
}
