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
    /// When its last heartbeat came; 0: none has.
    pub(crate) seen: Millis,
}

impl Peer {
    /// What others are told of it.
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
}

impl Peers {
    /// A client has connected.
    pub(crate) fn open(&mut self, session: SessionId, address: SocketAddr) {
        let peer = Peer { address, language: Language::Other, version: 0, seen: 0 };
        self.by_session.insert(session, peer);
    }

    /// A client is gone.
    pub(crate) fn close(&mut self, session: SessionId) {
        self.by_session.remove(&session);
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

    /// The client of a session.
    pub(crate) fn get(&self, session: SessionId) -> Option<&Peer> {
        self.by_session.get(&session)
    }

    /// Where a session's client comes from.
    pub(crate) fn address(&self, session: SessionId) -> Option<SocketAddr> {
        self.get(session).map(|peer| peer.address)
    }
}
