//! What is asked, as far as rules look at it.

use posthaste_protocol::batch;
use posthaste_protocol::properties::{self, name};
use posthaste_protocol::request::SendMessage;
use posthaste_protocol::{Incoming, RequestCode};

use super::on::{On, SendKind};

/// A request, or a new connection.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    /// What is asked for; `None`: none of the requests that have a name here.
    pub(super) on: Option<On>,
    /// Its code; a new connection has none.
    pub(super) code: Option<RequestCode>,
    pub(super) one_way: bool,
    /// The port at which it came in.
    pub(super) port: u16,
    pub(super) client: Option<&'a str>,
    pub(super) topic: Option<&'a str>,
    pub(super) queue: Option<i32>,
    pub(super) groups: Vec<&'a str>,
    /// A send or a reply: what is to be stored.
    message: Option<&'a SendMessage<'a>>,
    /// The key that is looked for.
    key: Option<&'a str>,
}

impl<'a> Asked<'a> {
    /// A connection that is accepted.
    pub(crate) fn connect(port: u16) -> Self {
        Self {
            on: Some(On::Connect),
            code: None,
            one_way: false,
            port,
            client: None,
            topic: None,
            queue: None,
            groups: Vec::new(),
            message: None,
            key: None,
        }
    }

    /// A send.
    fn send(
        code: RequestCode,
        one_way: bool,
        port: u16,
        client: Option<&'a str>,
        message: &'a SendMessage<'a>,
    ) -> Self {
        Self {
            on: Some(On::Send),
            code: Some(code),
            one_way,
            client,
            topic: Some(&message.topic),
            queue: Some(message.queue_id),
            groups: vec![&message.group],
            message: Some(message),
            ..Self::connect(port)
        }
    }

    /// Any request.
    pub(crate) fn request(
        code: RequestCode,
        one_way: bool,
        port: u16,
        client: Option<&'a str>,
        incoming: Option<&'a Incoming>,
    ) -> Self {
        let on = On::of_code(code);
        let mut asked = Self { on, code: Some(code), one_way, client, ..Self::connect(port) };
        let Some(incoming) = incoming else { return asked };
        match incoming {
            Incoming::Send(it) => return Self::send(code, one_way, port, client, it),
            Incoming::SendReply(it) => {
                return Self { on, ..Self::send(code, one_way, port, client, &it.0) };
            }
            Incoming::RouteOf(it) => asked.topic = Some(&it.topic),
            Incoming::Heartbeat(it) => {
                asked.client = Some(&it.client_id);
                let producers = it.producers.iter().map(|group| group.group_name.as_str());
                let consumers = it.consumers.iter().map(|group| group.group_name.as_str());
                asked.groups = producers.chain(consumers).collect();
            }
            Incoming::EndTransaction(it) => {
                asked.topic = it.topic.as_deref();
                asked.groups = vec![&it.group];
            }
            Incoming::Recall(it) => {
                asked.topic = Some(&it.topic);
                asked.groups = it.group.as_deref().into_iter().collect();
            }
            Incoming::Pull(it) => {
                asked.topic = Some(&it.topic);
                asked.queue = Some(it.queue_id);
                asked.groups = vec![&it.group];
            }
            Incoming::QueryMessages(it) => {
                asked.topic = Some(&it.topic);
                asked.key = Some(&it.key);
            }
            Incoming::CreateTopic(it) => asked.topic = Some(&it.topic),
            _ => {}
        }
        asked
    }

    /// The topic whose route is asked for.
    pub(crate) fn topic(&self) -> Option<&'a str> {
        self.topic
    }

    /// How the message is sent; `None`: this is no send.
    pub(super) fn kind(&self) -> Option<SendKind> {
        if self.on != Some(On::Send) {
            return None;
        }
        let is_batch = self.message.is_some_and(|message| message.batch);
        Some(match (self.one_way, is_batch) {
            (true, _) => SendKind::OneWay,
            (false, true) => SendKind::Batch,
            (false, false) => SendKind::Single,
        })
    }

    /// How many messages there are in it.
    pub(super) fn messages(&self) -> u64 {
        match self.message {
            None => 0,
            Some(message) if message.batch => batch::entries(&message.body).count() as u64,
            Some(_) => 1,
        }
    }

    /// Whether one of its messages has the key, or the key is looked for.
    pub(super) fn has_key(&self, key: &str) -> bool {
        let is_among = |keys: &str| keys.split_ascii_whitespace().any(|one| one == key);
        self.key == Some(key) || self.any_property(name::KEYS, is_among)
    }

    /// Whether one of its messages has the tag.
    pub(super) fn has_tag(&self, tag: &str) -> bool {
        self.any_property(name::TAGS, |one| one == tag)
    }

    fn any_property(&self, name: &str, wanted: impl Fn(&str) -> bool) -> bool {
        let Some(message) = self.message else { return false };
        let has = |text: &str| properties::find(text, name).is_some_and(&wanted);
        let mut members = batch::entries(&message.body).map_while(Result::ok);
        has(&message.properties) || message.batch && members.any(|member| has(member.properties))
    }
}
