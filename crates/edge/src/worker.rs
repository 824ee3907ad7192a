//! A worker: one thread, one single-threaded runtime, its own accept queues, upstream pool, wheel and log buffer. No work
//! moves between workers, so everything here is `Rc` and `Cell`; what they share is in [`Shared`].
//!
//! Accepting is bounded. Near the limit the connections that wait longest of the clients who have most of them waiting are
//! closed, so that newcomers find room; where all are at work, new connections stay in the kernel's queue until one has ended.
//! Requests beyond what memory and descriptors allow ([`Bounds`]) are refused at once, so that those under way come to their end.

use crate::access_log::{AccessLog, LogBuffer};
use crate::bounds::Bounds;
use crate::connection::{self, Client, Deadlines};
use crate::error_page::Refusal;
use crate::files::Files;
use crate::forward;
use crate::guard::{Guard, Offence, Refused, Ticket};
use crate::metrics::{Ended, Metrics, Sites, WorkerStats};
use crate::pool::Pool;
use crate::table::Table;
use crate::timer::Wheel;
use crate::tls::Unknown;
use arc_swap::{ArcSwap, Cache};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{Notify, mpsc};
use wire::edge::Listener;
use wire::failure::Cause;

/// Commands that may wait for a worker.
pub const COMMANDS: usize = 64;
/// Pause while it is not known what is spoken on an address.
const UNKNOWN: Duration = Duration::from_millis(10);
/// Pause after the process or the system ran out of descriptors.
const EXHAUSTED: Duration = Duration::from_millis(100);
/// Waiting connections that are closed then.
const DESCRIPTORS: usize = 64;
/// Shortest time between two searches for connections to close.
const EVICTIONS: Duration = Duration::from_millis(10);
/// Seconds after which who was refused for want of room may come again.
const RETRY_AFTER: u32 = 1;

/// What the control thread tells a worker.
pub enum Command {
    /// Accept on this too.
    Listen(Listener, std::net::TcpListener),
    /// Take datagrams of this.
    Datagrams(Listener, std::net::UdpSocket),
    /// Accept on this no more.
    Unlisten(Listener),
    /// Accept no more at all, let what runs end, then end.
    Leave(Leave),
}

/// How a worker comes to its end.
#[derive(Debug, Clone, Copy)]
pub struct Leave {
    /// What still runs then is cut.
    pub deadline: Instant,
    /// Connections that wait for a request are closed; else they may bring one more.
    pub at_once: bool,
}

/// What all workers share.
#[derive(Clone)]
pub struct Shared {
    /// The table to serve from.
    pub table: Arc<ArcSwap<Table>>,
    /// Way to the access log's writer.
    pub log: AccessLog,
    /// What clients are held to.
    pub guard: Arc<Guard>,
    /// All workers' figures.
    pub metrics: Arc<Metrics>,
    /// Files that are kept.
    pub files: Arc<Files>,
    /// Names that certificates are got for.
    pub unknown: Arc<Unknown>,
    /// Of one worker.
    pub bounds: Bounds,
    /// Of its clients.
    pub deadlines: Deadlines,
}

/// One worker's own.
pub struct Worker {
    table: RefCell<Cache<Arc<ArcSwap<Table>>, Arc<Table>>>,
    /// Deadlines of its connections.
    pub wheel: Rc<Wheel>,
    /// Idle connections to instances.
    pub pool: Pool,
    /// Its lines for the access log.
    pub log: LogBuffer,
    /// Its figures.
    pub stats: Arc<WorkerStats>,
    /// What clients are held to; shared by all workers.
    pub guard: Arc<Guard>,
    /// All workers' figures, its own among them.
    pub metrics: Arc<Metrics>,
    sites: RefCell<Sites>,
    /// Files that are kept; shared by all workers.
    pub files: Arc<Files>,
    /// Names that certificates are got for; shared by all workers.
    pub unknown: Arc<Unknown>,
    /// A vector for heads, used and given back within one poll.
    pub scratch: Cell<Vec<u8>>,
    /// Of its clients.
    pub deadlines: Deadlines,
    connections: Cell<usize>,
    bounds: Bounds,
    /// When room was made last.
    evicted: Cell<Option<Instant>>,
    /// As in [`Leave::at_once`]; none: it goes on.
    leaving: Cell<Option<bool>>,
    freed: Notify,
}

/// A connection is open as long as this lives.
pub struct Open {
    worker: Rc<Worker>,
    ticket: Ticket,
}

impl Open {
    /// The connection was found to be this client's, behind a trusted peer: it counts as his, if he may have one more.
    pub fn belongs_to(&mut self, client: IpAddr) -> Result<(), Refused> {
        self.ticket = self.worker.guard.connect(client)?;
        Ok(())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let worker = &self.worker;
        worker.connections.set(worker.connections.get() - 1);
        worker.stats.connections.sub(1);
        worker.freed.notify_waiters();
    }
}

impl Worker {
    fn new(shared: &Shared, stats: Arc<WorkerStats>) -> Rc<Self> {
        Rc::new(Self {
            table: RefCell::new(Cache::new(Arc::clone(&shared.table))),
            wheel: Wheel::new(),
            pool: Pool::default(),
            log: LogBuffer::new(shared.log.clone()),
            stats,
            guard: Arc::clone(&shared.guard),
            metrics: Arc::clone(&shared.metrics),
            sites: RefCell::default(),
            files: Arc::clone(&shared.files),
            unknown: Arc::clone(&shared.unknown),
            scratch: Cell::default(),
            connections: Cell::new(0),
            bounds: shared.bounds,
            evicted: Cell::new(None),
            deadlines: shared.deadlines,
            leaving: Cell::new(None),
            freed: Notify::new(),
        })
    }

    /// The table as it is now.
    pub fn table(&self) -> Arc<Table> {
        Arc::clone(self.table.borrow_mut().load())
    }

    /// Counts a connection until it is dropped, if this client may have one more.
    fn open(self: &Rc<Self>, peer: IpAddr) -> Result<Open, Refused> {
        let ticket = self.guard.connect(peer)?;
        self.connections.set(self.connections.get() + 1);
        self.stats.connections.add(1);
        Ok(Open { worker: Rc::clone(self), ticket })
    }

    /// Notes what a client is banned for when it goes on like this (`EdgeSpec::ban`). The client's own address, not that of
    /// a trusted peer before it.
    pub fn offend(&self, client: IpAddr, offence: Offence) {
        self.guard.offend(client, offence);
    }

    /// Counts a request that has ended; `site` as in [`crate::metrics::SiteNumbers`].
    pub fn count(&self, site: u32, ended: Ended) {
        self.sites.borrow_mut().count(site, ended, &self.stats.sites);
    }

    /// Whether nothing at all is done for a request of this client, and what it is told.
    pub fn turns_away(&self, client: IpAddr) -> Option<Refusal> {
        if self.stats.buffers.get() > self.bounds.buffers
            || self.stats.in_flight.get() > self.bounds.in_flight
        {
            self.guard.refusals.overload.fetch_add(1, Ordering::Relaxed);
            let refusal = Refusal::closing(503, Cause::Overload, "too many requests are under way");
            return Some(Refusal { retry_after: Some(RETRY_AFTER), ..refusal });
        }
        self.guard.is_banned(client).then(|| Refusal::closing(403, Cause::Banned, "the address is banned"))
    }

    /// Closes waiting connections when few places are left, at most every [`EVICTIONS`].
    fn make_room(&self, now: Instant) {
        let most = self.bounds.connections;
        let crowded = self.connections.get() + most / 16 >= most;
        let again = self.evicted.get().is_none_or(|last| now.saturating_duration_since(last) >= EVICTIONS);
        if !crowded || !again {
            return;
        }
        self.evicted.set(Some(now));
        let count = self.wheel.evict((most / 32).max(1));
        let before = self.guard.refusals.evicted.fetch_add(count as u64, Ordering::Relaxed);
        if count > 0 && before == 0 {
            tracing::warn!(
                connections = self.connections.get(),
                "nearly full: waiting connections are closed"
            );
        }
    }

    /// Connections end after what they are at; one that waits may bring one more request.
    pub fn is_leaving(&self) -> bool {
        self.leaving.get().is_some()
    }

    /// No new requests are taken at all.
    pub fn is_closing(&self) -> bool {
        self.leaving.get() == Some(true)
    }

    async fn accept(self: Rc<Self>, address: SocketAddr, listener: TcpListener) {
        let mut warned = false;
        let own = Rc::new(address);
        loop {
            while self.connections.get() >= self.bounds.connections {
                self.make_room(Instant::now());
                // Who falls idle meanwhile does not say so: looked for again soon.
                let _ = tokio::time::timeout(EVICTIONS, self.freed.notified()).await;
            }
            while !self.table.borrow_mut().load().knows(address) {
                tokio::time::sleep(UNKNOWN).await;
            }
            match listener.accept().await {
                Ok((stream, peer)) => {
                    warned = false;
                    match self.open(peer.ip()) {
                        Ok(open) => {
                            let client = Client::new(&self, stream, &own, peer);
                            self.welcome(open, client, address);
                            self.make_room(Instant::now());
                        }
                        Err(refused) => self.guard.turn_away(stream.into_std(), peer.ip(), refused),
                    }
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    if !std::mem::replace(&mut warned, true) {
                        tracing::error!(%error, "no connection can be accepted");
                    }
                    self.guard
                        .refusals
                        .evicted
                        .fetch_add(self.wheel.evict(DESCRIPTORS) as u64, Ordering::Relaxed);
                    tokio::time::sleep(EXHAUSTED).await;
                }
            }
        }
    }

    /// Begins with a connection what its address is for.
    fn welcome(&self, open: Open, client: Client, address: SocketAddr) {
        let table = self.table();
        if !table.forwards.is_empty()
            && let Some(upstream) = table.forwards.get(&address)
        {
            drop(tokio::task::spawn_local(forward::serve(open, client, Arc::clone(upstream))));
            return;
        }
        drop(tokio::task::spawn_local(connection::serve(open, client, table.door(address))));
    }

    /// Waits for the connections' end. Told again, it goes harder, never longer.
    async fn leave(&self, mut leave: Leave, commands: &mut mpsc::Receiver<Command>) {
        loop {
            self.leaving.set(Some(leave.at_once));
            self.wheel.wake_all();
            while self.connections.get() > 0 {
                tokio::select! {
                    () = self.freed.notified() => {}
                    Some(command) = commands.recv() => {
                        let Command::Leave(again) = command else { continue };
                        leave.deadline = leave.deadline.min(again.deadline);
                        leave.at_once |= again.at_once;
                        break;
                    }
                    () = tokio::time::sleep_until(leave.deadline.into()) => {
                        tracing::info!(connections = self.connections.get(), "cut at the deadline");
                        return;
                    }
                }
            }
            if self.connections.get() == 0 {
                return;
            }
        }
    }
}

/// Errors of accept(2) that concern the connection, not the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, PermissionDenied, TimedOut};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted | PermissionDenied | TimedOut)
}

/// A worker as the control thread sees it.
pub struct WorkerHandle {
    /// Way to it.
    pub commands: mpsc::Sender<Command>,
    /// Its thread.
    pub thread: std::thread::JoinHandle<()>,
}

/// Starts a worker's thread.
pub fn start(index: usize, shared: Shared) -> io::Result<WorkerHandle> {
    let (commands, received) = mpsc::channel(COMMANDS);
    let own = shared.metrics.workers.get(index).map(Arc::clone).unwrap_or_default();
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder
            .enable_io()
            .enable_time()
            .max_blocking_threads(4)
            .build_local(tokio::runtime::LocalOptions::default())
    };
    let thread =
        std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || match runtime() {
            Ok(runtime) => runtime.block_on(run(Worker::new(&shared, own), received)),
            Err(error) => tracing::error!(%error, "a worker has no runtime"),
        })?;
    Ok(WorkerHandle { commands, thread })
}

async fn run(worker: Rc<Worker>, mut commands: mpsc::Receiver<Command>) {
    crate::buffer::count_in(&worker.stats.buffers);
    let shared = Rc::clone(&worker);
    tokio::task::spawn_local(Rc::clone(&worker.wheel).run());
    tokio::task::spawn_local(async move { tokio::join!(shared.pool.run(), shared.log.run()) });
    let mut accepting = HashMap::new();
    while let Some(command) = commands.recv().await {
        match command {
            Command::Listen(name, listener) => match TcpListener::from_std(listener) {
                Ok(listener) => {
                    let task = tokio::task::spawn_local(Rc::clone(&worker).accept(name.address, listener));
                    accepting.insert(name, task);
                }
                Err(error) => tracing::error!(%error, address = %name.address, "cannot listen"),
            },
            Command::Datagrams(name, socket) => match UdpSocket::from_std(socket) {
                Ok(socket) => {
                    let serve = forward::datagrams::serve(Rc::clone(&worker), name.address, socket);
                    accepting.insert(name, tokio::task::spawn_local(serve));
                }
                Err(error) => tracing::error!(%error, address = %name.address, "no datagrams are taken"),
            },
            Command::Unlisten(name) => {
                if let Some(task) = accepting.remove(&name) {
                    task.abort();
                }
            }
            Command::Leave(leave) => {
                accepting.drain().for_each(|(_, task)| task.abort());
                worker.leave(leave, &mut commands).await;
                break;
            }
        }
    }
    worker.log.flush();
}
