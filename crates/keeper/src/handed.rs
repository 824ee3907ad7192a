//! Listening sockets that a service manager handed over (socket activation): an address that a stack wants and that has one is not
//! bound anew. They are kept as long as the keeper lives, so that a later change finds them too; the manager holds them anyway.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

/// By address.
#[derive(Default)]
pub(crate) struct Handed(BTreeMap<SocketAddr, Vec<Arc<TcpListener>>>);

impl Handed {
    pub(crate) fn new(listeners: &[Arc<TcpListener>]) -> Self {
        let mut by_address: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for listener in listeners {
            // one that cannot say where it is leads nowhere
            if let Ok(address) = listener.local_addr() {
                tracing::info!(%address, "a listening socket was handed over");
                by_address.entry(address).or_default().push(Arc::clone(listener));
            }
        }
        Self(by_address)
    }

    /// So many accept queues of this address; none: it was not handed over. Where it has fewer sockets several queues share one.
    pub(crate) fn queues(&self, address: SocketAddr, queues: u32) -> Option<io::Result<Vec<TcpListener>>> {
        let sockets = self.0.get(&address)?;
        let count = sockets.len().max(usize::try_from(queues).unwrap_or(1));
        Some(sockets.iter().cycle().take(count).map(|socket| socket.try_clone()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_queue_of_an_address_that_was_handed_over_has_a_socket() {
        let listener = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        let address = listener.local_addr().unwrap();
        let handed = Handed::new(&[listener]);
        let queues = handed.queues(address, 3).unwrap().unwrap();
        assert!(queues.len() == 3 && queues.iter().all(|queue| queue.local_addr().unwrap() == address));
        assert!(handed.queues(([127, 0, 0, 1], 1).into(), 3).is_none());
    }
}
