//! Finding stored messages by their ids and keys (Java: `MQAdminImpl`).

use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use posthaste_protocol::id::OffsetId;
use posthaste_protocol::properties::name;
use posthaste_protocol::request::{
    BrokerData, ClusterInfo, ClusterInfoOf, IndexType, Payload, QueryMessages, RawBody, ViewMessage,
};
use posthaste_protocol::{Request, ResponseCode, StoredMessage, json};
use tokio::task::JoinSet;

use super::{Admin, AdminError};
use crate::message::timestamp::ms_since_1970;
use crate::{MessageQueue, ReadMessage};

/// How many messages are asked for by unique id; more copies of one there are not.
const COPIES: usize = 32;

/// A broker: its name, and the address to ask.
type Broker = (Arc<str>, String);

/// What brokers have answered, by their names, and how one of them failed.
type Asked<A> = (Vec<(Arc<str>, A)>, Option<AdminError>);

/// The message with an id that a broker gave.
pub(super) async fn view(
    admin: &Admin,
    topic: &str,
    id: &str,
) -> Result<Option<ReadMessage>, AdminError> {
    let place = place(id)?;
    let deadline = admin.deadline();
    let document = admin.route(topic, deadline).await?;
    let wire_topic = wire_topic(admin, topic)?;
    let request = ViewMessage { offset: place.offset, topic: Some(wire_topic.clone()) };
    let brokers = brokers_of_id(&document.brokers, &place);
    let asked = ask_each(admin, brokers, request, topic, deadline).await;
    let found = found_at(&place, asked, |stored| stored.topic == wire_topic)?;
    Ok(found.map(|(broker, stored)| read_message(topic, &broker, stored)))
}

/// The message with an id that a broker gave, whatever its topic.
pub(super) async fn view_of_any_topic(
    admin: &Admin,
    id: &str,
) -> Result<Option<ReadMessage>, AdminError> {
    let place = place(id)?;
    let deadline = admin.deadline();
    let client = admin.client()?;
    let asked = client.directory.ask(ClusterInfoOf, deadline).await;
    let answer = asked.map_err(AdminError::of_look_up)?;
    let info: ClusterInfo = json::read(&answer.body).map_err(|error| AdminError::Protocol {
        address: "the name server".into(),
        reason: error.to_string(),
    })?;
    let brokers: Vec<BrokerData> = info.brokers.into_values().collect();
    let request = ViewMessage { offset: place.offset, topic: None };
    // Of a place in a log, no topic is in a broker's errors.
    let asked = ask_each(admin, brokers_of_id(&brokers, &place), request, "", deadline).await;
    let config = client.ledger.config();
    let is_ours = |stored: &StoredMessage| match &config.namespace {
        Some(namespace) => namespace.has(&stored.topic),
        None => true,
    };
    let found = found_at(&place, asked, is_ours)?;
    Ok(found.map(|(broker, stored)| {
        let topic = config.off_wire(&stored.topic).into_owned();
        read_message(&topic, &broker, stored)
    }))
}

/// Where the message with an id that a broker gave lies.
fn place(id: &str) -> Result<OffsetId, AdminError> {
    id.parse().map_err(|_| {
        AdminError::Invalid(format!(
            "{id:?} is not an offset message id, which has 32 or 56 hex digits"
        ))
    })
}

/// The message of a place, among what brokers have there; else why a broker could not be asked.
fn found_at(
    place: &OffsetId,
    (answers, error): Asked<RawBody>,
    wanted: impl Fn(&StoredMessage) -> bool,
) -> Result<Option<(Arc<str>, StoredMessage)>, AdminError> {
    for (broker, answer) in answers {
        // What lies there at another broker is another message, or none at all.
        let stored = StoredMessage::decode(&mut answer.0.clone()).ok().filter(|stored| {
            let stored_at = OffsetId { host: stored.store_host, offset: stored.physical_offset };
            stored_at == *place && wanted(stored)
        });
        if let Some(stored) = stored {
            return Ok(Some((broker, stored)));
        }
    }
    error.map_or(Ok(None), Err)
}

/// The messages of a topic that have a key, oldest first.
pub(super) async fn by_key(
    admin: &Admin,
    topic: &str,
    key: &str,
    stored: impl RangeBounds<SystemTime>,
    most: usize,
) -> Result<Vec<ReadMessage>, AdminError> {
    if key.is_empty() || key.contains(' ') {
        return Err(AdminError::Invalid(format!("{key:?} cannot be a key of a message")));
    }
    let (begin_ms, end_ms) = in_ms(&stored);
    let query = QueryMessages {
        topic: wire_topic(admin, topic)?,
        key: key.to_owned(),
        max_count: i32::try_from(most).unwrap_or(i32::MAX),
        begin_ms,
        end_ms,
        index_type: Some(IndexType::Key),
        by_unique_id: Some(false),
    };
    // Brokers go by a hash of the key, which others may share.
    let has_key = |message: &StoredMessage| {
        message.property(name::KEYS).is_some_and(|keys| keys.split(' ').any(|one| one == key))
    };
    let mut found = query_all(admin, topic, query, has_key).await?;
    found.drain(..found.len().saturating_sub(most));
    Ok(found)
}

/// The copies of the message with a unique id, oldest first.
pub(super) async fn by_unique_id(
    admin: &Admin,
    topic: &str,
    id: &str,
) -> Result<Vec<ReadMessage>, AdminError> {
    if id.is_empty() {
        return Err(AdminError::Invalid("an empty text is not a message id".into()));
    }
    let query = QueryMessages {
        topic: wire_topic(admin, topic)?,
        key: id.to_owned(),
        max_count: COPIES as i32,
        begin_ms: 0,
        end_ms: i64::MAX,
        index_type: Some(IndexType::UniqueId),
        by_unique_id: Some(true),
    };
    let has_id = |message: &StoredMessage| message.property(name::UNIQ_KEY) == Some(id);
    query_all(admin, topic, query, has_id).await
}

async fn query_all(
    admin: &Admin,
    topic: &str,
    query: QueryMessages,
    wanted: impl Fn(&StoredMessage) -> bool,
) -> Result<Vec<ReadMessage>, AdminError> {
    let deadline = admin.deadline();
    let document = admin.route(topic, deadline).await?;
    let wire_topic = query.topic.clone();
    let asked = ask_each(admin, brokers(&document.brokers), query, topic, deadline);
    let (answers, mut error) = asked.await;
    let mut found = Vec::new();
    for (broker, answer) in answers {
        match StoredMessage::decode_all(answer.messages) {
            Ok(messages) => {
                let wanted = messages.into_iter().filter(|m| m.topic == wire_topic && wanted(m));
                found.extend(wanted.map(|stored| read_message(topic, &broker, stored)));
            }
            Err(reason) => {
                let (address, reason) = (broker.to_string(), reason.to_string());
                error = Some(AdminError::Protocol { address, reason });
            }
        }
    }
    if let (true, Some(error)) = (found.is_empty(), error) {
        return Err(error);
    }
    found.sort_by_key(|message| (message.stored_at(), message.queue_offset()));
    Ok(found)
}

/// The topic as brokers know it.
fn wire_topic(admin: &Admin, topic: &str) -> Result<String, AdminError> {
    Ok(admin.client()?.ledger.config().on_wire(topic).into_owned())
}

/// Asks all brokers at once, until the deadline. Gives what they have found, and how one of them
/// failed.
async fn ask_each<R>(
    admin: &Admin,
    brokers: Vec<Broker>,
    request: R,
    topic: &str,
    deadline: Instant,
) -> Asked<R::Answer>
where
    R: Request + Clone + Send + Sync + 'static,
    R::Answer: Payload + Send + 'static,
{
    let mut asked = JoinSet::new();
    for (name, address) in brokers {
        let (admin, request, topic) = (admin.clone(), request.clone(), topic.to_owned());
        asked.spawn(async move { (name, admin.ask(&address, &request, &topic, deadline).await) });
    }
    let (mut answers, mut failed) = (Vec::new(), None);
    while let Some(answer) = asked.join_next().await {
        match answer {
            Ok((name, Ok(answer))) => answers.push((name, answer)),
            Ok((_, Err(error))) if is_nothing(&error) => {}
            Ok((broker, Err(error))) => {
                tracing::warn!(%broker, topic, %error, "a broker cannot be asked for messages");
                failed = Some(error);
            }
            Err(error) => failed = Some(AdminError::Unreachable(error.to_string())),
        }
    }
    (answers, failed)
}

/// Whether a broker says that it has no such message. For one place in its log there is no code.
fn is_nothing(error: &AdminError) -> bool {
    match error {
        AdminError::Refused { code: ResponseCode::QUERY_NOT_FOUND, .. } => true,
        AdminError::Refused { code: ResponseCode::SYSTEM_ERROR, remark, .. } => {
            remark.contains("can not find message")
        }
        _ => false,
    }
}

/// The brokers' addresses: the master of each, or the slave that stands in for it.
fn brokers(known: &[BrokerData]) -> Vec<Broker> {
    let address = |broker: &BrokerData| {
        let any = || broker.broker_addrs.values().next().map(String::as_str);
        broker.master().or_else(any).map(str::to_owned)
    };
    known
        .iter()
        .filter_map(|broker| Some((broker.broker_name.as_str().into(), address(broker)?)))
        .collect()
}

/// The broker whose address an id has; all of them when none has it, as where routes have names
/// instead of addresses. No other address is asked: an id may come from anywhere.
fn brokers_of_id(known: &[BrokerData], id: &OffsetId) -> Vec<Broker> {
    let address = id.host.to_string();
    let found =
        known.iter().find(|broker| broker.broker_addrs.values().any(|known| *known == address));
    match found {
        Some(broker) => vec![(broker.broker_name.as_str().into(), address)],
        None => brokers(known),
    }
}

fn read_message(topic: &str, broker: &Arc<str>, stored: StoredMessage) -> ReadMessage {
    // On its own: what was found with it may be much more.
    let body = Bytes::copy_from_slice(&stored.body);
    let queue = MessageQueue::new(topic, broker.clone(), stored.queue_id);
    ReadMessage::new(queue, StoredMessage { body, ..stored })
}

/// The first and the last millisecond of a range of times.
fn in_ms(range: &impl RangeBounds<SystemTime>) -> (i64, i64) {
    let ms = |time: &SystemTime| ms_since_1970(*time);
    let begin = match range.start_bound() {
        Bound::Included(time) => ms(time),
        Bound::Excluded(time) => ms(time).saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(time) => ms(time),
        Bound::Excluded(time) => ms(time).saturating_sub(1),
        Bound::Unbounded => i64::MAX,
    };
    (begin, end)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn times_in_whole_milliseconds() {
        let at = |ms| UNIX_EPOCH + Duration::from_millis(ms);
        assert_eq!(in_ms(&(..)), (0, i64::MAX));
        assert_eq!(in_ms(&(at(5)..)), (5, i64::MAX));
        assert_eq!(in_ms(&(at(5)..at(9))), (5, 8));
        assert_eq!(in_ms(&(at(5)..=at(9))), (5, 9));
        assert_eq!(in_ms(&(..=at(9))), (0, 9));
        let before_1970 = UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(in_ms(&(before_1970..)), (0, i64::MAX));
    }

    #[test]
    fn the_broker_of_an_id_is_asked_and_else_all_of_the_route() {
        let broker = |name: &str, addresses: &[(i64, &str)]| BrokerData {
            broker_name: name.into(),
            broker_addrs: addresses.iter().map(|(id, a)| (*id, (*a).to_owned())).collect(),
            ..BrokerData::default()
        };
        let known = [
            broker("a", &[(0, "10.0.0.1:10911"), (1, "10.0.0.2:10911")]),
            broker("b", &[(0, "10.0.0.3:10911")]),
            broker("c", &[(2, "10.0.0.4:10911")]),
            broker("d", &[]),
        ];
        let asked = |host: &str| -> Vec<(String, String)> {
            let id = OffsetId { host: host.parse().unwrap(), offset: 7 };
            let brokers = brokers_of_id(&known, &id);
            brokers.into_iter().map(|(name, address)| (name.to_string(), address)).collect()
        };
        let pair = |name: &str, address: &str| (name.to_owned(), address.to_owned());
        assert_eq!(asked("10.0.0.3:10911"), [pair("b", "10.0.0.3:10911")]);
        assert_eq!(asked("10.0.0.2:10911"), [pair("a", "10.0.0.2:10911")], "a replica has it too");
        let all =
            [pair("a", "10.0.0.1:10911"), pair("b", "10.0.0.3:10911"), pair("c", "10.0.0.4:10911")];
        assert_eq!(asked("10.0.0.3:1"), all);
    }
}
