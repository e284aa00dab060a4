//! Topics: create, change, list.

use posthaste_protocol::request::{CreateTopic, Empty, TopicList};

use crate::engine::topics::{MAX_TOPIC_LENGTH, is_name, is_system};
use crate::engine::{Engine, attributes, refusal::Refusal};
use crate::location::MAX_QUEUES;
use crate::store::{Commit, Fact};

impl Engine {
    /// 17: creates a topic, or changes it. Fewer queues than before deletes no messages. Attributes
    /// are remembered; nothing depends on them.
    pub(crate) fn create_topic(
        &mut self,
        request: &CreateTopic,
        commit: &mut Commit,
    ) -> Result<Empty, Refusal> {
        let name = &request.topic;
        check_topic_name(name)?;
        self.check_not_system(name)?;
        let read = queue_count(request.read_queues)?;
        let write = queue_count(request.write_queues)?;
        if !(0..=7).contains(&request.perm) {
            return Err(Refusal::invalid(format!(
                "the permissions {} are not 0 to 7",
                request.perm
            )));
        }
        let known = self.topics.get(name).map(|topic| &topic.config.attributes);
        let changes = request.attributes.as_deref().unwrap_or_default();
        let attributes = attributes::changed(known, changes)?;
        self.check_working()?;
        self.set_topic(name, (read, write), request.perm, commit)?;
        let order = request.order == Some(true);
        if let Some(topic) = self.topics.set_attributes(name, attributes, order) {
            commit.put(Fact::Topic(topic.config.clone()));
        }
        Ok(Empty)
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
