//! Who is connected and consumes what; and what a consumer says of itself, which is asked of it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use posthaste_protocol::id::OffsetId;
use posthaste_protocol::request::{
    Connection, ConsumeDirectly, ConsumerConnection, ConsumerConnectionOf, ConsumersOfTopic, Empty,
    GroupList, MembersOffsets, MembersOffsetsOf, OwnOffsetsOf, ProducerConnection,
    ProducerConnectionOf, ProducerInfo, ProducerTable, RawBody, Request, RunningInfoOf,
    SubscriptionAnswer, SubscriptionOf, TopicList, TopicsOfConsumer,
};
use posthaste_protocol::{Fields, Payload as _, ResponseCode};

use crate::engine::effects::{Caller, Effects};
use crate::engine::replies::{Pushed, Waiting};
use crate::engine::{Engine, Millis, SessionId, refusal::Refusal};
use crate::request::Answer;

impl Engine {
    /// 203: the members of a consumer group, and what they have said of it.
    pub(crate) fn consumer_connection(
        &self,
        request: &ConsumerConnectionOf,
    ) -> Result<ConsumerConnection, Refusal> {
        let group = self.groups.get(&request.group).filter(|group| !group.members.is_empty());
        let Some(group) = group else {
            return Err(Refusal::new(
                ResponseCode::CONSUMER_NOT_ONLINE,
                format!("the consumer group[{}] not online", request.group),
            ));
        };
        let subscriptions = group.subscriptions.iter();
        Ok(ConsumerConnection {
            connections: self.connections(group.members.iter().map(|(id, s)| (id.as_str(), *s))),
            consume_from_where: group.manner.consume_from_where.clone(),
            consume_type: group.manner.consume_type.clone(),
            message_model: group.manner.message_model.clone(),
            subscriptions: subscriptions.map(|(topic, s)| (topic.clone(), s.into())).collect(),
        })
    }

    fn connections<'a>(
        &self,
        members: impl Iterator<Item = (&'a str, SessionId)>,
    ) -> Vec<Connection> {
        members.filter_map(|(id, session)| Some(self.peers.get(session)?.connection(id))).collect()
    }

    /// 204: the members of a producer group.
    pub(crate) fn producer_connection(
        &self,
        request: &ProducerConnectionOf,
    ) -> Result<ProducerConnection, Refusal> {
        let members = self.producers.members(&request.group).ok_or_else(|| {
            Refusal::system_error(format!("the producer group[{}] not exist", request.group))
        })?;
        Ok(ProducerConnection { connections: self.connections(members) })
    }

    /// 328: the members of all producer groups.
    pub(crate) fn producer_table(&self) -> ProducerTable {
        let info = |(id, session): (&str, SessionId)| {
            let peer = self.peers.get(session)?;
            Some(ProducerInfo {
                client_id: id.to_owned(),
                language: peer.language.name().to_owned(),
                seen_at_ms: peer.seen,
                address: format!("/{}", peer.address),
                version: peer.version,
            })
        };
        let members = |group: &str| {
            self.producers.members(group).into_iter().flatten().filter_map(info).collect()
        };
        let groups = self.producers.groups();
        ProducerTable { groups: groups.map(|name| (name.to_owned(), members(name))).collect() }
    }

    /// 300: the groups that subscribe to a topic, or have come somewhere in it.
    pub(crate) fn consumers_of(&self, request: &ConsumersOfTopic) -> GroupList {
        let topic = &request.topic;
        let consume = self.groups.iter().filter(|(_, group)| {
            let subscribes = !group.members.is_empty() && group.subscriptions.contains_key(topic);
            subscribes || group.topics().any(|known| known == topic)
        });
        GroupList { groups: consume.map(|(name, _)| name.to_owned()).collect() }
    }

    /// 343: the topics that a group has come somewhere in.
    pub(crate) fn topics_of(&self, request: &TopicsOfConsumer) -> TopicList {
        let group = self.groups.get(&request.group);
        let topics: BTreeSet<_> = group.into_iter().flat_map(|group| group.topics()).collect();
        TopicList {
            broker_addr: Some(self.identity.address.clone()),
            topics: topics.into_iter().map(str::to_owned).collect(),
        }
    }

    /// 345: what a group that is connected wants of a topic.
    pub(crate) fn subscription_of(&self, request: &SubscriptionOf) -> SubscriptionAnswer {
        let group = self.groups.get(&request.group).filter(|group| !group.members.is_empty());
        let subscription = group.and_then(|group| group.subscriptions.get(&request.topic));
        SubscriptionAnswer {
            group: request.group.clone(),
            subscription: subscription.map(Into::into),
            topic: request.topic.clone(),
        }
    }

    /// 307: asks a consumer what it is doing; its answer is the answer.
    pub(crate) fn running_info(
        &mut self,
        now: Millis,
        caller: Caller,
        request: &RunningInfoOf,
        out: &mut Effects,
    ) {
        self.ask_consumer(now, caller, (&request.group, &request.client_id), request, out);
    }

    /// 309: has a consumer consume a message; its answer is the answer.
    pub(crate) fn consume_directly(
        &mut self,
        now: Millis,
        caller: Caller,
        request: ConsumeDirectly,
        out: &mut Effects,
    ) {
        let group = request.group.clone();
        let client_id = request.client_id.clone().unwrap_or_default();
        match self.with_message(request) {
            Ok(request) => self.ask_consumer(now, caller, (&group, &client_id), &request, out),
            Err(refusal) => out.answer::<Empty>(caller, Err(refusal)),
        }
    }

    fn with_message(&self, request: ConsumeDirectly) -> Result<ConsumeDirectly, Refusal> {
        let id = request.message_id.as_deref().unwrap_or_default();
        let place: OffsetId = id.parse().map_err(|_| {
            Refusal::system_error(format!("{id:?} is not the id of a stored message"))
        })?;
        let record = self.record_at(place.offset)?;
        let record = record.ok_or_else(|| {
            Refusal::system_error(format!("can not find message by the offset, {}", place.offset))
        })?;
        Ok(ConsumeDirectly {
            broker_name: Some(self.identity.broker.clone()),
            topic_sys_flag: Some(0),
            group_sys_flag: Some(0),
            message: record.bytes().clone(),
            ..request
        })
    }

    /// 223: asks the members of a group which offsets they have; who does not say it is left out.
    pub(crate) fn members_offsets(
        &mut self,
        now: Millis,
        caller: Caller,
        request: &MembersOffsetsOf,
        out: &mut Effects,
    ) {
        let MembersOffsetsOf { topic, group, client_id } = request.clone();
        let is_meant = |id: &String| client_id.as_ref().is_none_or(|meant| meant == id);
        let known = self.groups.get(&group);
        let members = known.into_iter().flat_map(|group| &group.members);
        let members = members.filter(|(id, _)| is_meant(id)).map(|(id, to)| (id.clone(), *to));
        let members: Vec<(String, SessionId)> = members.collect();
        if members.is_empty() {
            let why = format!("No Any Consumer online in the consumer group: [{group}]");
            return out.refuse(caller, &Refusal::system_error(why));
        }
        let all = Arc::new(Mutex::new(MembersOffsets::default()));
        for (client_id, to) in members {
            if self.replies.is_full() {
                self.replies.forget_question(caller);
                let why = "too many clients are asked something";
                return out.refuse(caller, &Refusal::busy(why));
            }
            let waiting = Waiting::Offsets(Arc::clone(&all));
            let opaque = self.replies.insert(now, Pushed { caller, to, client_id, waiting });
            let (topic, group) = (topic.clone(), group.clone());
            out.ask(to, opaque, &OwnOffsetsOf { topic, group });
        }
    }

    fn ask_consumer<R: Request>(
        &mut self,
        now: Millis,
        caller: Caller,
        (group, client_id): (&str, &str),
        request: &R,
        out: &mut Effects,
    ) {
        let member = self.groups.get(group).and_then(|group| group.members.get(client_id));
        let Some(&to) = member else {
            let why = format!("The Consumer <{group}> <{client_id}> not online");
            return out.answer::<Empty>(caller, Err(Refusal::system_error(why)));
        };
        if self.replies.is_full() {
            let why = "too many clients are asked something";
            return out.answer::<Empty>(caller, Err(Refusal::busy(why)));
        }
        let waiting = Waiting::Question { group: group.to_owned() };
        let client_id = client_id.to_owned();
        let opaque = self.replies.insert(now, Pushed { caller, to, client_id, waiting });
        out.ask(to, opaque, request);
    }
}

/// Notes what one of several consumers has said; the last one's answer lets all of it go.
pub(super) fn told_together(
    caller: Caller,
    client_id: String,
    all: Arc<Mutex<MembersOffsets>>,
    answer: Option<Answer>,
    out: &mut Effects,
) {
    let said = answer.filter(|answer| answer.code == ResponseCode::SUCCESS);
    let said = said.and_then(|answer| MembersOffsets::read(&Fields::new(), &answer.body).ok());
    if let Some(MembersOffsets { own, .. }) = said {
        let mut told = all.lock().unwrap_or_else(PoisonError::into_inner);
        told.members.insert(client_id, own);
    }
    if let Some(told) = Arc::into_inner(all) {
        out.answer(caller, Ok(told.into_inner().unwrap_or_else(PoisonError::into_inner)));
    }
}

/// Hands on what a consumer has said, or that it has said nothing.
pub(super) fn hand_on(
    caller: Caller,
    (group, client_id): (&str, &str),
    answer: Option<Answer>,
    out: &mut Effects,
) {
    match answer {
        Some(Answer { code, remark, body, .. }) => {
            out.answer_with(caller, code, remark.as_deref(), &RawBody(body));
        }
        None => {
            let why = format!("consumer <{group}> <{client_id}> has not answered in time");
            let refusal = Refusal::new(ResponseCode::CONSUME_MSG_TIMEOUT, why);
            out.answer::<Empty>(caller, Err(refusal));
        }
    }
}
