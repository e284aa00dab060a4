//! The clients that are connected: where from, in which language, since when they are silent.

use std::net::SocketAddr;

use posthaste_protocol::Language;
use posthaste_protocol::request::Connection;
use rustc_hash::FxHashMap;

use super::{Millis, SessionId};

/// A client that is connected.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer {
    /// Where it comes from.
    pub(crate) address: SocketAddr,
    /// The language that it says it has.
    pub(crate) language: Language,
    /// The version that it says it has.
    pub(crate) version: i32,
    /// When it has connected.
    pub(crate) opened: Millis,
    /// When its last heartbeat came; 0: none has.
    pub(crate) seen: Millis,
}

impl Peer {
    /// What others learn of it.
    pub(crate) fn connection(&self, client_id: &str) -> Connection {
        Connection {
            address: self.address.to_string(),
            client_id: client_id.to_owned(),
            language: self.language.name().to_owned(),
            version: self.version,
        }
    }
}

/// All clients that are connected.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    by_session: FxHashMap<SessionId, Peer>,
    /// The group that a session pulled for last, where that group is not known.
    pulls_as: FxHashMap<SessionId, String>,
}

impl Peers {
    /// A client has connected.
    pub(crate) fn open(&mut self, now: Millis, session: SessionId, address: SocketAddr) {
        let language = Language::Other;
        let peer = Peer { address, language, version: 0, opened: now, seen: 0 };
        self.by_session.insert(session, peer);
    }

    /// A client is gone.
    pub(crate) fn close(&mut self, session: SessionId) {
        self.by_session.remove(&session);
        self.pulls_as.remove(&session);
    }

    /// A client has sent a heartbeat, and said what it is.
    pub(crate) fn greet(
        &mut self,
        now: Millis,
        session: SessionId,
        language: Language,
        version: i32,
    ) {
        if let Some(peer) = self.by_session.get_mut(&session) {
            *peer = Peer { language, version, seen: now, ..*peer };
        }
    }

    /// A session pulls for a group that is not known: no member of it has sent a heartbeat.
    pub(crate) fn pulled_as(&mut self, session: SessionId, group: &str) {
        if !self.pulls_as(session, group) {
            self.pulls_as.insert(session, group.to_owned());
        }
    }

    /// Whether a session has pulled for a group that is not known.
    pub(crate) fn pulls_as(&self, session: SessionId, group: &str) -> bool {
        self.pulls_as.get(&session).is_some_and(|known| known == group)
    }

    /// All sessions and their clients.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (SessionId, &Peer)> {
        self.by_session.iter().map(|(session, peer)| (*session, peer))
    }

    /// The client of a session.
    pub(crate) fn get(&self, session: SessionId) -> Option<&Peer> {
        self.by_session.get(&session)
    }

    /// Where a session's client comes from.
    pub(crate) fn address(&self, session: SessionId) -> Option<SocketAddr> {
        self.get(session).map(|peer| peer.address)
    }
}
