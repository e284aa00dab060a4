//! The producer groups: which members are connected, and can be asked about transactions. Also where
//! each client is, in any group, so that replies find it.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::{SessionId, refusal::Refusal};

/// How many producer groups may have members. Members of further groups are not asked.
const MAX_GROUPS: usize = 1_000;
/// The longest name of a group or of a client.
pub(crate) const MAX_NAME: usize = 255;

/// Whether a client may be remembered by this id.
pub(crate) fn check_client_id(client_id: &str) -> Result<(), Refusal> {
    match client_id.len() {
        0..=MAX_NAME => Ok(()),
        length => Err(Refusal::invalid(format!(
            "the client id has {length} bytes; {MAX_NAME} is the most"
        ))),
    }
}

/// All producers that are connected. Nothing of it outlives a connection.
#[derive(Debug, Default)]
pub(crate) struct Producers {
    groups: BTreeMap<String, Members>,
    /// The session that a client used last.
    clients: FxHashMap<String, SessionId>,
    /// What each session calls itself.
    ids: FxHashMap<SessionId, String>,
}

#[derive(Debug, Default)]
struct Members {
    sessions: Vec<SessionId>,
    /// How often one was picked.
    picked: usize,
}

impl Producers {
    /// A client is there.
    pub(crate) fn meet(&mut self, session: SessionId, client_id: &str) {
        if !client_id.is_empty() {
            // A session is one client, even if it changes its name.
            self.clients.retain(|id, known| *known != session || id == client_id);
            self.clients.insert(client_id.to_owned(), session);
            self.ids.insert(session, client_id.to_owned());
        }
    }

    /// A client is a member of a group.
    pub(crate) fn join(&mut self, session: SessionId, group: &str) {
        if let Some(members) = self.groups.get_mut(group) {
            if !members.sessions.contains(&session) {
                members.sessions.push(session);
            }
        } else if self.groups.len() < MAX_GROUPS && group.len() <= MAX_NAME {
            let members = Members { sessions: vec![session], picked: 0 };
            self.groups.insert(group.to_owned(), members);
        } else {
            tracing::warn!(group, "there are too many producer groups; this one is not remembered");
        }
    }

    /// A client leaves a group.
    pub(crate) fn leave(&mut self, session: SessionId, group: &str) {
        if let Some(members) = self.groups.get_mut(group) {
            members.sessions.retain(|member| *member != session);
            if members.sessions.is_empty() {
                self.groups.remove(group);
            }
        }
    }

    /// A session is gone.
    pub(crate) fn forget(&mut self, session: SessionId) {
        self.clients.retain(|_, known| *known != session);
        self.ids.remove(&session);
        self.groups.retain(|_, members| {
            members.sessions.retain(|member| *member != session);
            !members.sessions.is_empty()
        });
    }

    /// Where a client is.
    pub(crate) fn client(&self, client_id: &str) -> Option<SessionId> {
        self.clients.get(client_id).copied()
    }

    /// What a session calls itself, if it has said so.
    pub(crate) fn id(&self, session: SessionId) -> Option<&str> {
        self.ids.get(&session).map(String::as_str)
    }

    /// The groups that have a member.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &str> {
        self.groups.keys().map(String::as_str)
    }

    /// The members of a group: what each calls itself, and its session. `None` when there is none.
    pub(crate) fn members(&self, group: &str) -> Option<impl Iterator<Item = (&str, SessionId)>> {
        let id = |session| self.ids.get(session).map_or("", String::as_str);
        let members = self.groups.get(group)?;
        Some(members.sessions.iter().map(move |session| (id(session), *session)))
    }

    /// Whether a group has a member.
    pub(crate) fn has(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// A member of a group; of several each in its turn.
    pub(crate) fn pick(&mut self, group: &str) -> Option<SessionId> {
        let members = self.groups.get_mut(group)?;
        members.picked = members.picked.wrapping_add(1);
        members.sessions.get(members.picked.checked_rem(members.sessions.len())?).copied()
    }
}
