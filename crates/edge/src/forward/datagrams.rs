//! Datagrams. Who sends one gets a *session*: a socket of its own towards the instance that was claimed for it, so that what
//! comes back finds its way. A session ends after a silence, or when its instance drains; the next datagram begins another one.
//!
//! Nothing waits: a datagram that no instance can take is dropped, as the network itself would drop it.

use crate::instance::Claim;
use crate::upstream::{Pick, Tried};
use crate::worker::Worker;
use model::observed::Address;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;

/// A session that was silent for so long is over.
const SILENCE: Duration = Duration::from_secs(60);
/// Sessions of one address at most: each holds a descriptor.
const SESSIONS: usize = 1024;
/// The largest datagram there is (RFC 768: a length of 16 bits).
const LARGEST: usize = 1 << 16;

struct Session {
    socket: UdpSocket,
    claim: Claim,
    last: Cell<Instant>,
}

impl Session {
    /// Its instance takes nothing new.
    fn is_over(&self) -> bool {
        self.claim.instance().is_none_or(|instance| instance.is_draining())
    }
}

type Sessions = Rc<RefCell<HashMap<SocketAddr, Rc<Session>>>>;

/// Serves one address for as long as it is listened on.
pub async fn serve(worker: Rc<Worker>, address: SocketAddr, socket: UdpSocket) {
    let socket = Rc::new(socket);
    let sessions = Sessions::default();
    let mut datagram = vec![0; LARGEST];
    loop {
        // An error is of one datagram (an unreachable port), not of the socket.
        let Ok((len, peer)) = socket.recv_from(&mut datagram).await else { continue };
        if worker.guard.is_banned(peer.ip().to_canonical()) {
            continue;
        }
        let known = sessions.borrow().get(&peer).filter(|session| !session.is_over()).map(Rc::clone);
        let session = match known {
            Some(session) => session,
            None if sessions.borrow().len() >= SESSIONS => continue,
            None => match begin(&worker, address).await {
                Some(session) => {
                    let session = Rc::new(session);
                    sessions.borrow_mut().insert(peer, Rc::clone(&session));
                    let back = answers(Rc::clone(&session), Rc::clone(&socket), peer, Rc::clone(&sessions));
                    drop(tokio::task::spawn_local(back));
                    session
                }
                None => continue,
            },
        };
        session.last.set(Instant::now());
        if let Err(error) = session.socket.send(datagram.get(..len).unwrap_or_default()).await {
            tracing::trace!(%peer, %error, "a datagram was dropped");
        }
    }
}

/// Claims an instance for a new session.
async fn begin(worker: &Worker, address: SocketAddr) -> Option<Session> {
    let upstream = worker.table().datagrams.get(&address).map(std::sync::Arc::clone)?;
    let Pick::Claimed(mut claim) = upstream.claim(&mut Tried::new(None)) else {
        upstream.lasting.line.want();
        return None;
    };
    let instance = claim.instance().map(std::sync::Arc::clone)?;
    let Address::Tcp(to) = instance.address else { return None };
    let socket = connected(to).await.inspect_err(|error| tracing::debug!(%to, %error, "no session")).ok()?;
    instance.count_request();
    claim.answered();
    Some(Session { socket, claim, last: Cell::new(Instant::now()) })
}

async fn connected(to: SocketAddr) -> io::Result<UdpSocket> {
    let any =
        if to.is_ipv4() { (Ipv4Addr::UNSPECIFIED, 0).into() } else { (Ipv6Addr::UNSPECIFIED, 0).into() };
    let socket = UdpSocket::bind::<SocketAddr>(any).await?;
    socket.connect(to).await?;
    Ok(socket)
}

/// What comes back, until the session is over.
async fn answers(session: Rc<Session>, socket: Rc<UdpSocket>, peer: SocketAddr, sessions: Sessions) {
    let mut datagram = Vec::new();
    loop {
        let left = SILENCE.saturating_sub(session.last.get().elapsed());
        match tokio::time::timeout(left, session.socket.readable()).await {
            Err(_) if session.last.get().elapsed() >= SILENCE => break,
            Err(_) => continue,
            Ok(Err(_)) => break,
            Ok(Ok(())) => {}
        }
        // Held only while there is something to be read.
        datagram.resize(LARGEST, 0);
        if let Ok(len) = session.socket.try_recv(&mut datagram) {
            session.last.set(Instant::now());
            let _ = socket.send_to(datagram.get(..len).unwrap_or_default(), peer).await;
        }
        datagram = Vec::new();
        if session.is_over() {
            break;
        }
    }
    let mut sessions = sessions.borrow_mut();
    // Another one may have taken its place.
    if sessions.get(&peer).is_some_and(|current| Rc::ptr_eq(current, &session)) {
        sessions.remove(&peer);
    }
}
