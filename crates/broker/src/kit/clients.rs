//! Clients and their groups, as tests see them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::SystemTime;

use posthaste_protocol::Language;
use rustc_hash::FxHashMap;

use crate::engine::{Engine, SessionId};
use crate::kit::message::{Sender, system_time};

/// One connection of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientInfo {
    /// What the client calls itself; `None` until a heartbeat has come on this connection.
    pub client_id: Option<String>,
    /// The producer groups that it is a member of.
    pub producer_groups: Vec<String>,
    /// The consumer groups that it is a member of.
    pub consumer_groups: Vec<String>,
    /// Where it comes from.
    pub address: SocketAddr,
    /// The language that it says it has: `JAVA`, `RUST`, …; `None` until a heartbeat has come.
    pub language: Option<&'static str>,
    /// The version of the protocol that it says it has (Java: the ordinal of `MQVersion`); 0 until a
    /// heartbeat has come.
    pub version: i32,
    /// When it has connected.
    pub connected_at: SystemTime,
    /// When its last heartbeat came.
    pub last_heartbeat: Option<SystemTime>,
}

/// A group of producers, of consumers, or of both.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct GroupInfo {
    /// Name.
    pub name: String,
    /// Ids of the producers that are connected.
    pub producers: Vec<String>,
    /// Ids of the consumers that are connected.
    pub consumers: Vec<String>,
    /// The topics that its consumers subscribe to, or have come somewhere in.
    pub topics: Vec<String>,
}

/// All connections, the oldest first.
pub(super) fn clients(engine: &Engine) -> Vec<ClientInfo> {
    let mut groups: FxHashMap<SessionId, (Vec<String>, Vec<String>)> = FxHashMap::default();
    for (group, session) in producers(engine) {
        groups.entry(session).or_default().0.push(group.to_owned());
    }
    let mut consumer_ids = FxHashMap::default();
    for (group, id, session) in consumers(engine) {
        consumer_ids.insert(session, id);
        groups.entry(session).or_default().1.push(group.to_owned());
    }
    let mut clients: Vec<_> = engine
        .peers
        .iter()
        .map(|(session, peer)| {
            let (producer_groups, consumer_groups) = groups.remove(&session).unwrap_or_default();
            let id = engine.producers.id(session).or_else(|| consumer_ids.get(&session).copied());
            let has_said = peer.seen != 0;
            let client = ClientInfo {
                client_id: id.map(str::to_owned),
                producer_groups,
                consumer_groups,
                address: peer.address,
                language: has_said.then(|| Language::name(peer.language)),
                version: peer.version,
                connected_at: system_time(peer.opened),
                last_heartbeat: has_said.then(|| system_time(peer.seen)),
            };
            (session, client)
        })
        .collect();
    clients.sort_by_key(|(session, _)| *session);
    clients.into_iter().map(|(_, client)| client).collect()
}

/// What the client of each session calls itself.
pub(super) fn ids(engine: &Engine) -> FxHashMap<u64, String> {
    let consumers = consumers(engine).map(|(_, id, session)| (session.0, id.to_owned()));
    let producers = engine.peers.iter().filter_map(|(session, _)| {
        engine.producers.id(session).map(|id| (session.0, id.to_owned()))
    });
    consumers.chain(producers).collect()
}

/// All groups by name.
pub(super) fn groups(engine: &Engine) -> Vec<GroupInfo> {
    let mut groups: BTreeMap<&str, GroupInfo> = BTreeMap::new();
    for (group, session) in producers(engine) {
        let id = engine.producers.id(session).unwrap_or_default();
        groups.entry(group).or_default().producers.push(id.to_owned());
    }
    for (name, group) in engine.groups.iter().filter(|(_, group)| group.is_known) {
        let info = groups.entry(name).or_default();
        info.consumers = group.members.keys().cloned().collect();
        info.topics = group.subscriptions.keys().cloned().collect();
        info.topics.extend(group.topics().map(str::to_owned));
        info.topics.sort_unstable();
        info.topics.dedup();
    }
    let named = |(name, group): (&str, GroupInfo)| GroupInfo { name: name.to_owned(), ..group };
    groups.into_iter().map(named).collect()
}

/// Who is connected from which address.
pub(super) fn senders(engine: &Engine) -> FxHashMap<SocketAddr, Sender> {
    let mut groups: FxHashMap<SessionId, Vec<&str>> = FxHashMap::default();
    for (group, session) in producers(engine) {
        groups.entry(session).or_default().push(group);
    }
    let sender = |session| {
        // A member of several may have sent for any of them.
        let group = groups.get(&session).and_then(|groups| match groups.as_slice() {
            [group] => Some((*group).to_owned()),
            _ => None,
        });
        Sender { group, client: engine.producers.id(session).map(str::to_owned) }
    };
    engine.peers.iter().map(|(session, peer)| (peer.address, sender(session))).collect()
}

fn producers(engine: &Engine) -> impl Iterator<Item = (&str, SessionId)> {
    engine.producers.groups().flat_map(|group| {
        let members = engine.producers.members(group).into_iter().flatten();
        members.map(move |(_, session)| (group, session))
    })
}

fn consumers(engine: &Engine) -> impl Iterator<Item = (&str, &str, SessionId)> {
    engine.groups.iter().flat_map(|(name, group)| {
        group.members.iter().map(move |(id, session)| (name, id.as_str(), *session))
    })
}
