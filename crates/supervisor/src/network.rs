//! The network of an instance's own: what a launch needs of it. Who makes it is another crate's affair.
//!
//! The namespace is handed through the shim to the instance and held by nobody else, so it ends with the instance's last process, and its
//! interfaces with it. The shim stays in the host's: sockets of files work across namespaces.

use model::observed::Address;
use model::spec::Listen;
use std::fmt;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use wire::shim::Bind;

/// Where an app listens inside that takes any port: all are free there.
const ANY_PORT: u16 = 8080;

/// Makes a namespace with its interfaces.
type Make = dyn Fn() -> Result<OwnedFd, String> + Send + Sync;

/// A network of an instance's own.
#[derive(Clone)]
pub struct OwnNetwork {
    /// Its address on each of its networks; the first is where it takes requests.
    pub addresses: Vec<(String, IpAddr)>,
    /// Makes the namespace, interfaces up; fails with a sentence for people.
    pub make: Arc<Make>,
    /// Files in the place of the host's: names, name servers.
    pub binds: Vec<Bind>,
}

impl fmt::Debug for OwnNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnNetwork").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}

impl OwnNetwork {
    /// Where an instance with it takes requests over TCP; none: it does not. Nobody else has the address, so its port is free.
    pub(crate) fn address(&self, listen: Listen) -> Option<Address> {
        let port = match listen {
            Listen::AnyPort => ANY_PORT,
            Listen::Port(port) => port,
            Listen::Socket | Listen::Nothing => return None,
        };
        self.addresses.first().map(|(_, ip)| Address::Tcp((*ip, port).into()))
    }
}
