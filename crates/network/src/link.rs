//! Interfaces, through netlink (rtnetlink(7)). Every function opens a connection of its own, in the namespace that its thread is in.
//!
//! What is ours carries a mark, the alias `mainstay:<home>:<name>`: only that is changed or removed.

use crate::{Bridge, Join, NetworkError};
use futures_util::TryStreamExt;
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkInfo, LinkMessage};
use rtnetlink::{Error, Handle, LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::pin::pin;

/// What tells the interfaces of one home from all others.
#[derive(Debug, Clone)]
pub(crate) struct Mark {
    home: String,
}

impl Mark {
    pub(crate) fn new(home: &str) -> Self {
        Self { home: home.to_owned() }
    }

    pub(crate) fn home(&self) -> &str {
        &self.home
    }

    fn prefix(&self) -> String {
        format!("mainstay:{}:", self.home)
    }

    /// Cut to what the kernel takes (IFALIASZ, 256 bytes).
    fn of(&self, name: &str) -> String {
        let alias = self.prefix() + name;
        let room =
            alias.char_indices().map(|(at, letter)| at + letter.len_utf8()).take_while(|end| *end <= 255);
        let end = room.last().unwrap_or(0);
        alias.get(..end).unwrap_or_default().to_owned()
    }
}

/// Names of the bridges of this home.
pub(crate) fn marked(mark: &Mark) -> Result<Vec<String>, NetworkError> {
    let prefix = mark.prefix();
    run("looking at interfaces", async |handle| {
        let mut found = Vec::new();
        let mut links = handle.link().get().execute();
        while let Some(link) = links.try_next().await? {
            if is_bridge(&link) && alias(&link).is_some_and(|alias| alias.starts_with(&prefix)) {
                found.extend(name(&link));
            }
        }
        Ok(found)
    })
}

/// Removes an interface that [`marked`] named.
pub(crate) fn remove(link: &str) -> Result<(), NetworkError> {
    run(&format!("removing the interface {link}"), async |handle| match find(&handle, link).await? {
        Some(found) => handle.link().del(found.header.index).execute().await,
        None => Ok(()),
    })
}

/// The bridge is there, is up and has the gateway's address.
pub(crate) fn bridge(bridge: &Bridge, mark: &Mark) -> Result<(), NetworkError> {
    let Bridge { link, name, subnet, gateway, .. } = bridge;
    let ours = run(&format!("making the bridge {link} of network {name}"), async |handle| {
        let found = match find(&handle, link).await? {
            Some(found) => found,
            None => {
                handle.link().add(LinkBridge::new(link).build()).execute().await?;
                find(&handle, link).await?.ok_or(Error::RequestFailed)?
            }
        };
        // Without a mark: made a moment ago, by us or by a keeper that died before it could mark it. The name is a hash of this home's path.
        if !is_bridge(&found) || alias(&found).is_some_and(|alias| !alias.starts_with(&mark.prefix())) {
            return Ok(false);
        }
        let index = found.header.index;
        let set = LinkUnspec::new_with_index(index).alias(mark.of(name)).up().build();
        handle.link().set(set).execute().await?;
        let wanted = IpAddr::V4(*gateway);
        let mut there = handle.address().get().set_link_index_filter(index).execute();
        let mut has = false;
        while let Some(address) = there.try_next().await? {
            has |= address
                .attributes
                .iter()
                .any(|it| matches!(it, AddressAttribute::Address(ip) if *ip == wanted));
        }
        if !has {
            handle.address().add(index, wanted, subnet.prefix_len()).execute().await?;
        }
        Ok(true)
    })?;
    match ours {
        true => Ok(()),
        false => Err(NetworkError::Taken { network: name.clone(), link: link.clone() }),
    }
}

/// A namespace with `lo` and an interface on each network.
pub(crate) fn namespace(name: &str, joins: &[Join], mark: &Mark) -> Result<OwnedFd, NetworkError> {
    let io = |what: &'static str| move |error| NetworkError::Io { what: what.to_owned(), error };
    let (namespace, ()) = sys::netns::make(|| ()).map_err(io("making a network namespace"))?;
    for (number, join) in joins.iter().enumerate() {
        veth(name, number, join, namespace.as_raw_fd(), mark)?;
    }
    sys::netns::inside(&namespace, || inside(joins)).map_err(io("entering a network namespace"))??;
    Ok(namespace)
}

/// The two ends of a wire: one in the bridge, one in the namespace as `eth<number>`. Both go when either does.
fn veth(name: &str, number: usize, join: &Join, namespace: RawFd, mark: &Mark) -> Result<(), NetworkError> {
    let Join { bridge, .. } = join;
    let outer = outer(name, &bridge.link, mark);
    run(&format!("connecting {name} with network {}", bridge.name), async |handle| {
        let master = find(&handle, &bridge.link).await?.ok_or(Error::RequestFailed)?.header.index;
        let inner =
            LinkMessageBuilder::<LinkUnspec>::new().name(format!("eth{number}")).setns_by_fd(namespace);
        let pair = LinkMessageBuilder::<LinkVeth>::new(&outer, "")
            .set_info_data(InfoData::Veth(InfoVeth::Peer(inner.build())))
            .controller(master)
            .up();
        // One of the last run of this name, which the kernel has not cleared away yet.
        if let Some(old) = find(&handle, &outer).await? {
            handle.link().del(old.header.index).execute().await?;
        }
        handle.link().add(pair.build()).execute().await?;
        let set = LinkUnspec::new_with_name(&outer).alias(mark.of(name)).build();
        handle.link().set(set).execute().await
    })
}

/// Name of the host's end: of this run of this instance of this home, on this network.
fn outer(name: &str, link: &str, mark: &Mark) -> String {
    short_name("mv-", &format!("{} {name} {link}", mark.home))
}

/// An interface's name, 15 bytes as the kernel takes them: `prefix` and a hash of `of`.
pub fn short_name(prefix: &str, of: &str) -> String {
    let mut name = format!("{prefix}{:016x}", model::id::fnv1a(of.as_bytes()));
    name.truncate(15);
    name
}

/// What is done inside: interfaces up, addresses, the way out, and all ports open to those who are not root: there is nobody else's.
fn inside(joins: &[Join]) -> Result<(), NetworkError> {
    run("configuring a network namespace", async |handle| {
        let lo = find(&handle, "lo").await?.ok_or(Error::RequestFailed)?;
        handle.link().set(LinkUnspec::new_with_index(lo.header.index).up().build()).execute().await?;
        for (number, Join { bridge, address }) in joins.iter().enumerate() {
            let link = find(&handle, &format!("eth{number}")).await?.ok_or(Error::RequestFailed)?;
            let index = link.header.index;
            handle.address().add(index, IpAddr::V4(*address), bridge.subnet.prefix_len()).execute().await?;
            handle.link().set(LinkUnspec::new_with_index(index).up().build()).execute().await?;
        }
        if let Some(Join { bridge, .. }) = joins.iter().find(|join| !join.bridge.internal) {
            let route = RouteMessageBuilder::<Ipv4Addr>::new().gateway(bridge.gateway).build();
            handle.route().add(route).execute().await?;
        }
        Ok(())
    })?;
    let file = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
    let opened = OpenOptions::new().write(true).open(file);
    opened
        .and_then(|mut file| file.write_all(b"0"))
        .map_err(|error| NetworkError::Io { what: format!("writing {file}"), error })
}

/// Speaks with the kernel from this thread's namespace.
fn run<T>(what: &str, work: impl AsyncFnOnce(Handle) -> Result<T, Error>) -> Result<T, NetworkError> {
    let failed = |error| NetworkError::Io { what: what.to_owned(), error };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed)?;
    let done = runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        let connection = pin!(connection);
        tokio::select! {
            done = work(handle) => Ok(done),
            () = connection => Err(io::Error::from(io::ErrorKind::ConnectionAborted)),
        }
    });
    done.map_err(failed)?.map_err(|error| NetworkError::Link { what: what.to_owned(), error })
}

/// The interface of this name.
async fn find(handle: &Handle, name: &str) -> Result<Option<LinkMessage>, Error> {
    const NO_DEVICE: i32 = -19;
    match handle.link().get().match_name(name).execute().try_next().await {
        Err(Error::NetlinkError(error)) if error.raw_code() == NO_DEVICE => Ok(None),
        found => found,
    }
}

fn name(link: &LinkMessage) -> Option<String> {
    link.attributes.iter().find_map(|it| match it {
        LinkAttribute::IfName(name) => Some(name.clone()),
        _ => None,
    })
}

fn alias(link: &LinkMessage) -> Option<&str> {
    link.attributes.iter().find_map(|it| match it {
        LinkAttribute::IfAlias(alias) => Some(alias.as_str()),
        _ => None,
    })
}

fn is_bridge(link: &LinkMessage) -> bool {
    let info = link.attributes.iter().find_map(|it| match it {
        LinkAttribute::LinkInfo(info) => Some(info),
        _ => None,
    });
    info.is_some_and(|info| info.contains(&LinkInfo::Kind(InfoKind::Bridge)))
}
