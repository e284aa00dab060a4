//! Finding messages by key, by unique id or by tag.

use posthaste_protocol::ResponseCode;
use posthaste_protocol::request::{Empty, IndexType, QueryAnswer, QueryMessages};

use crate::engine::effects::{Caller, Effects};
use crate::engine::queries::{Query, READ_AT_ONCE, Sought};
use crate::engine::{Engine, refusal::Refusal};

/// The most messages in an answer.
const MAX_FOUND: usize = 64;
/// How many messages a query by unique id gets, even if it asks for another number.
const FOUND_BY_UNIQUE_ID: usize = 32;

impl Engine {
    /// 12: the newest messages with a key, oldest first. It is answered as soon as everything has
    /// been read.
    pub(crate) fn query(&mut self, caller: Caller, request: QueryMessages, out: &mut Effects) {
        let Some(topic) = self.topics.get(&request.topic) else {
            return out.answer::<Empty>(caller, Err(not_found()));
        };
        if self.queries.is_full() {
            let refusal = Refusal::busy("too many queries at once; ask again in a while");
            return out.answer::<Empty>(caller, Err(refusal));
        }
        let is_unique = request.by_unique_id == Some(true);
        let most = match is_unique {
            true => FOUND_BY_UNIQUE_ID,
            false => usize::try_from(request.max_count).unwrap_or(0).min(MAX_FOUND),
        };
        let kind = if is_unique { IndexType::UniqueId } else { IndexType::Key };
        let sought = Sought {
            topic: topic.config.number,
            kind: request.index_type.unwrap_or(kind),
            key: request.key,
            stored_at: request.begin_ms..=request.end_ms,
            most,
        };
        self.queries.push(Query::new(caller, sought));
    }

    /// Reads on for the queries that are under way, as much as a turn may.
    pub(crate) fn read_on(&mut self, effects: &mut Effects) {
        let mut room = READ_AT_ONCE;
        while let Some(mut query) = self.queries.take() {
            match query.read_on(&self.topics, &*self.store, &mut room) {
                Ok(false) => return self.queries.put_back(query),
                Ok(true) => answer(query, effects),
                Err(error) => effects.answer::<Empty>(query.caller, Err(error.into())),
            }
        }
    }
}

fn answer(query: Query, effects: &mut Effects) {
    let caller = query.caller;
    let found = query.into_found().ok_or_else(not_found);
    let answer = found.map(|(messages, newest, at)| QueryAnswer {
        index_updated_at_ms: Some(newest),
        index_physical_offset: Some(at as i64),
        messages,
    });
    effects.answer(caller, answer);
}

/// An empty success would be more than Java clients can bear.
fn not_found() -> Refusal {
    Refusal::new(
        ResponseCode::QUERY_NOT_FOUND,
        "can not find message, maybe time range not correct",
    )
}
