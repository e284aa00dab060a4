//! Topics: create, change, list.

use posthaste_protocol::ResponseCode;
use posthaste_protocol::request::{
    CreateTopic, CreateTopics, DeleteTopic, DeleteTopicInNameServer, Empty, TopicConfig, TopicList,
};

use crate::engine::attributes;
use crate::engine::effects::Effects;
use crate::engine::topics::{MAX_TOPIC_LENGTH, MAX_TOPICS, is_name, is_system};
use crate::engine::{Engine, refusal::Refusal};
use crate::location::MAX_QUEUES;
use crate::store::{Attributes, Commit, Fact};

impl Engine {
    /// 17: creates a topic, or changes it. Fewer queues than before deletes no messages. Attributes
    /// are remembered; nothing depends on them.
    pub(crate) fn create_topic(
        &mut self,
        request: &CreateTopic,
        commit: &mut Commit,
    ) -> Result<Empty, Refusal> {
        let name = &request.topic;
        let ((read, write), attributes) = self.check_creation(request)?;
        self.check_working()?;
        self.set_topic(name, (read, write), request.perm, commit)?;
        let order = request.order == Some(true);
        if let Some(topic) = self.topics.set_attributes(name, attributes, order) {
            commit.put(Fact::Topic(topic.config.clone()));
        }
        Ok(Empty)
    }

    /// What a request makes of a topic: how many queues can be read and written, and its attributes.
    fn check_creation(&self, request: &CreateTopic) -> Result<((u16, u16), Attributes), Refusal> {
        let name = &request.topic;
        check_topic_name(name)?;
        self.check_not_system(name)?;
        let queues = (queue_count(request.read_queues)?, queue_count(request.write_queues)?);
        if !(0..=7).contains(&request.perm) {
            return Err(Refusal::invalid(format!(
                "the permissions {} are not 0 to 7",
                request.perm
            )));
        }
        let known = self.topics.get(name).map(|topic| &topic.config.attributes);
        let changes = request.attributes.as_deref().unwrap_or_default();
        Ok((queues, attributes::changed(known, changes)?))
    }

    /// 18: as 17, of many; all of them or none.
    pub(crate) fn set_topics(
        &mut self,
        request: &CreateTopics,
        commit: &mut Commit,
    ) -> Result<Empty, Refusal> {
        let topics: Vec<CreateTopic> = request.topics.iter().map(create_request).collect();
        for topic in &topics {
            self.check_creation(topic)?;
        }
        let new = topics.iter().filter(|topic| self.topics.get(&topic.topic).is_none());
        if self.topics.len() + new.count() > MAX_TOPICS {
            let why = format!("there would be more than {MAX_TOPICS} topics");
            return Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, why));
        }
        for topic in &topics {
            self.create_topic(topic, commit)?;
        }
        Ok(Empty)
    }

    /// 215: deletes a topic with its messages. One that is not there is deleted already.
    pub(crate) fn delete(
        &mut self,
        request: &DeleteTopic,
        effects: &mut Effects,
    ) -> Result<Empty, Refusal> {
        let name = &request.topic;
        if name.trim().is_empty() {
            return Err(Refusal::invalid("The specified topic is blank."));
        }
        self.check_not_system(name)?;
        self.check_working()?;
        self.delete_topic(name, effects);
        Ok(Empty)
    }

    /// 216: the name server tells what the broker has; so there is nothing to forget once the topic
    /// is deleted there, and nothing else that it could forget.
    pub(crate) fn delete_route(&self, request: &DeleteTopicInNameServer) -> Result<Empty, Refusal> {
        let (name, broker) = (&request.topic, &self.identity.broker);
        let cluster = request.cluster.as_ref().filter(|cluster| !cluster.is_empty());
        let is_meant = cluster.is_none_or(|cluster| *cluster == self.identity.cluster);
        match is_meant && self.topic(name).is_some() {
            true => Err(Refusal::system_error(format!(
                "the topic[{name}] is still on the broker {broker}; delete it there (215)"
            ))),
            false => Ok(Empty),
        }
    }

    /// Whether the topic of this name may be changed and deleted from outside.
    pub(super) fn check_not_system(&self, name: &str) -> Result<(), Refusal> {
        match is_system(name, &self.identity) {
            true => {
                Err(Refusal::invalid(format!("The topic[{name}] is conflict with system topic.")))
            }
            false => Ok(()),
        }
    }

    /// 206: every topic, the system's among them.
    pub(crate) fn topic_list(&self) -> Result<TopicList, Refusal> {
        if let Some(member) = &self.member {
            let topics = member.registry.topics().into_iter().collect();
            return Ok(TopicList { broker_addr: None, topics });
        }
        let topics = self
            .topics
            .iter()
            .map(|topic| topic.config.name.clone())
            .filter(|name| self.topic(name).is_some())
            .collect();
        Ok(TopicList { broker_addr: None, topics })
    }
}

/// Whether a topic may have this name.
pub(super) fn check_topic_name(name: &str) -> Result<(), Refusal> {
    if name.trim().is_empty() {
        return Err(Refusal::invalid("The specified topic is blank."));
    }
    if is_name(name, usize::MAX) && name.len() > MAX_TOPIC_LENGTH {
        return Err(Refusal::invalid(format!(
            "The specified topic is longer than topic max length {MAX_TOPIC_LENGTH}."
        )));
    }
    if !is_name(name, MAX_TOPIC_LENGTH) {
        return Err(Refusal::invalid(
            "The specified topic contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$",
        ));
    }
    Ok(())
}

fn queue_count(count: i32) -> Result<u16, Refusal> {
    u16::try_from(count).ok().filter(|count| *count <= MAX_QUEUES).ok_or_else(|| {
        Refusal::invalid(format!("a topic has 0 to {MAX_QUEUES} queues, not {count}"))
    })
}

/// A topic of a list as the request that creates it alone. Attributes are `+name` and `-name` there
/// too.
fn create_request(topic: &TopicConfig) -> CreateTopic {
    let attributes = topic.attributes.iter().map(|(name, value)| match name.starts_with('-') {
        true => name.clone(),
        false => format!("{name}={value}"),
    });
    let attributes: Vec<String> = attributes.collect();
    CreateTopic {
        topic: topic.topic_name.clone(),
        read_queues: topic.read_queue_nums,
        write_queues: topic.write_queue_nums,
        perm: topic.perm,
        filter_type: Some(topic.topic_filter_type.clone()),
        sys_flag: Some(topic.topic_sys_flag),
        order: Some(topic.order),
        attributes: Some(attributes.join(",")),
        ..CreateTopic::default()
    }
}
