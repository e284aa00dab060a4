//! A message and where it should go.

pub(crate) mod batch;
pub(crate) mod cause;
pub(crate) mod content;
pub(crate) mod error;
pub(crate) mod packing;
mod queue;
mod read_message;
pub(crate) mod receipt;
#[cfg(feature = "serde")]
pub(crate) mod serialize;
pub(crate) mod text;
pub(crate) mod timestamp;
#[cfg(feature = "opentelemetry")]
pub(crate) mod trace_context;
mod treatment;
pub(crate) mod unique_id;
pub(crate) mod validate;
pub(crate) mod wire_size;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use posthaste_protocol::Properties;
use posthaste_protocol::properties::name;
use posthaste_protocol::stored::sys_flag;

use crate::Text;
pub use batch::Batch;
pub use queue::MessageQueue;
pub(crate) use queue::QueueNames;
pub use read_message::ReadMessage;
pub use treatment::Delay;
pub(crate) use treatment::{Correlation, KNOWS_ALL_WISHES, Part, Treatment};

/// The properties of a [bare](Message::is_bare) message as they travel, but for its unique id and its
/// namespace. Most messages of a batch are one.
pub(crate) const BARE_PROPERTIES: &str = "WAIT\u{1}true\u{2}";

/// A message to send: a topic and a body, optionally tag, keys and properties, and where it should
/// go.
///
/// Nothing is checked here. The producer checks a message before it does anything with it, and an
/// invalid one ends as [`ErrorKind::Invalid`](crate::ErrorKind::Invalid).
#[derive(Clone)]
pub struct Message {
    topic: Arc<str>,
    body: Bytes,
    flag: i32,
    wait_stored: bool,
    destination: Destination,
    /// Apart, since many messages have none of it: the message is moved about on its way.
    labels: Option<Box<Labels>>,
    /// Apart, since few messages have one.
    treatment: Option<Box<Treatment>>,
}

/// What consumers and queries find a message by.
#[derive(Debug, Clone, Default)]
struct Labels {
    tag: Option<String>,
    keys: Vec<String>,
    /// Properties of the application.
    properties: Properties,
}

/// Which queue a message goes to.
#[derive(Clone)]
pub(crate) enum Destination {
    /// Any queue, in turn.
    Any,
    /// The queue that the key's hash says; in the order of acceptance.
    Key(Arc<str>),
    /// This queue; with `ordered` in the order of acceptance.
    Queue { queue: Box<MessageQueue>, ordered: bool },
    /// The queue that this picks; in the order of acceptance with others of that queue.
    Selected(Arc<Selector>),
}

/// Picks a queue of a topic, by its place.
pub(crate) type Selector = dyn Fn(&[MessageQueue]) -> usize + Send + Sync;

impl Destination {
    /// Whether any queue will do.
    pub(crate) fn is_any(&self) -> bool {
        matches!(self, Self::Any)
    }
}

impl PartialEq for Destination {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, Self::Any) => true,
            (Self::Key(one), Self::Key(other)) => one == other,
            (Self::Queue { queue, ordered }, Self::Queue { queue: other, ordered: same }) => {
                (queue, ordered) == (other, same)
            }
            (Self::Selected(one), Self::Selected(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("Any"),
            Self::Key(key) => f.debug_tuple("Key").field(key).finish(),
            Self::Queue { queue, ordered } => {
                f.debug_tuple("Queue").field(queue).field(ordered).finish()
            }
            Self::Selected(_) => f.write_str("Selected"),
        }
    }
}

impl Message {
    /// A message for `topic`.
    ///
    /// A topic has 1 to 127 characters of `A-Z a-z 0-9 _ - % |`; a body at least one byte and at
    /// most [`max_message_size`](crate::ProducerBuilder::max_message_size). Topics that belong to
    /// the broker, such as `TBW102` and `SCHEDULE_TOPIC_XXXX`, are refused.
    ///
    /// The body is owned, or `'static`; for a borrowed body use [`copied`](Self::copied).
    pub fn new(topic: impl Into<Text>, body: impl Into<Bytes>) -> Self {
        Self {
            topic: topic.into().into_arc(),
            body: body.into(),
            flag: 0,
            wait_stored: true,
            destination: Destination::Any,
            labels: None,
            treatment: None,
        }
    }

    /// As [`new`](Self::new), with a copy of a body that is borrowed: text or bytes.
    ///
    /// ```
    /// # use posthaste::Message;
    /// let order = String::from("a body that is needed afterwards");
    /// let message = Message::copied("orders", &order);
    /// # assert_eq!(message.body().len(), order.len());
    /// ```
    pub fn copied(topic: impl Into<Text>, body: impl AsRef<[u8]>) -> Self {
        Self::new(topic, Bytes::copy_from_slice(body.as_ref()))
    }

    /// As [`new`](Self::new), with a value as JSON for a body (feature `serde`).
    ///
    /// # Errors
    /// When the value cannot be written as JSON, such as a map whose keys are not texts.
    ///
    /// ```
    /// # use posthaste::Message;
    /// # #[derive(serde::Serialize)]
    /// # struct Order { id: u32 }
    /// let message = Message::json("orders", &Order { id: 7 })?;
    /// assert_eq!(message.body().as_ref(), br#"{"id":7}"#);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[cfg(feature = "serde")]
    pub fn json(
        topic: impl Into<Text>,
        value: &(impl serde::Serialize + ?Sized),
    ) -> Result<Self, serde_json::Error> {
        Ok(Self::new(topic, serde_json::to_vec(value)?))
    }

    /// Says why messages cannot be sent to a topic of this name, if so: the name breaks a rule, or
    /// the topic belongs to the broker. Every send checks this.
    ///
    /// # Errors
    /// What is wrong with the name, in a few words.
    pub fn check_topic(topic: &str) -> Result<(), String> {
        validate::topic(topic).and_then(|()| validate::not_of_the_broker(topic))
    }

    fn labels(&mut self) -> &mut Labels {
        self.labels.get_or_insert_default()
    }

    fn treatment(&mut self) -> &mut Treatment {
        self.treatment.get_or_insert_default()
    }

    /// Sets the tag, by which consumers filter. It must not be empty or contain `||`.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.labels().tag = Some(tag.into());
        self
    }

    /// Adds a key, by which the message can be found. A key must not be empty or contain a space.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.labels().keys.push(key.into());
        self
    }

    /// Adds keys, by which the message can be found: see [`key`](Self::key).
    #[must_use]
    pub fn keys<K: Into<String>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.labels().keys.extend(keys.into_iter().map(Into::into));
        self
    }

    /// Sets a property of the application. Names with a meaning in the protocol (`TAGS`, `KEYS`,
    /// `DELAY` …), empty names and values, and the bytes 1 and 2 are refused when the message is
    /// sent. All properties together, tag and keys among them, have at most 32,511 bytes, with two
    /// for each beside its name and value.
    #[must_use]
    pub fn property(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels().properties.set(name.into(), value);
        self
    }

    /// Sets the flag, a number that brokers carry along and do not look at. Default: 0.
    #[must_use]
    pub fn flag(mut self, flag: i32) -> Self {
        self.flag = flag;
        self
    }

    /// Whether the broker answers only after flush and replication, if it is configured for these
    /// (`waitStoreMsgOK` in Java). Default: true.
    #[must_use]
    pub fn wait_stored(mut self, wait: bool) -> Self {
        self.wait_stored = wait;
        self
    }

    /// Sends the message in order with other messages of the same key.
    ///
    /// The key's Java hash picks the queue, as `SelectMessageQueueByHash` does, so that Java and
    /// Posthaste agree. The message stays in the key's queue. If it fails, later messages of its
    /// key that were accepted before the failure was reported fail too. A key must not be empty.
    ///
    /// Unlike brokers, proxies of 5.x check the type of a topic: it must be one for ordered
    /// messages (`message.type` `FIFO`, or `MIXED`).
    #[must_use]
    pub fn order_by(mut self, key: impl Into<Text>) -> Self {
        self.destination = Destination::Key(key.into().into_arc());
        self
    }

    /// Sends the message to this queue of its topic, and to no other. It is not in order with its
    /// neighbours, unless [`ordered`](Self::ordered) says so.
    #[must_use]
    pub fn queue(mut self, queue: MessageQueue) -> Self {
        let ordered = matches!(self.destination, Destination::Queue { ordered: true, .. });
        self.destination = Destination::Queue { queue: Box::new(queue), ordered };
        self
    }

    /// Sends the message to the queue that `select` picks, in order with others that were sent to
    /// that queue in this way or as [`ordered`](Self::ordered) (Java: `MessageQueueSelector`).
    ///
    /// `select` gets the topic's writable queues, by broker's name and number, and returns the
    /// place of one, from 0. The queues of an ordered topic come in the order of its configuration.
    /// The queues of an ordered or a static topic are listed even while their broker is down; the
    /// message then waits for the broker. `select` is called once, when the route is known; the
    /// message never changes its queue. It must not block: it may run where answers are read. If it
    /// panics, or there is no such place, the send ends as
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid).
    #[must_use]
    pub fn select_queue(
        mut self,
        select: impl Fn(&[MessageQueue]) -> usize + Send + Sync + 'static,
    ) -> Self {
        self.destination = Destination::Selected(Arc::new(select));
        self
    }

    /// Keeps messages of the given [`queue`](Self::queue) in the order of acceptance. Has no
    /// effect on a message without a given queue; [`order_by`](Self::order_by) implies it.
    #[must_use]
    pub fn ordered(mut self) -> Self {
        if let Destination::Queue { ordered, .. } = &mut self.destination {
            *ordered = true;
        }
        self
    }

    /// Delivers the message after one of the brokers' delays: 1 s, 5 s, 10 s, 30 s, 1 to 10 min in
    /// steps of one minute, 20 min, 30 min, 1 h, 2 h are levels 1 to 18, unless a broker is
    /// configured otherwise. A higher level counts as the last, 0 is refused. Every version knows
    /// delay levels. Of this, [`deliver_after`](Self::deliver_after) and
    /// [`deliver_at`](Self::deliver_at), the last call counts.
    ///
    /// A delayed message is not in order with others, and not part of a batch.
    #[must_use]
    pub fn delay_level(mut self, level: u8) -> Self {
        self.treatment().delay = Some(Delay::Level(level));
        self
    }

    /// Delivers the message this long after the broker stores it, to about a second (Java:
    /// `setDelayTimeMs`). At most three days, unless the broker is configured otherwise; a longer
    /// delay is refused.
    ///
    /// Brokers know this from 5.0 on. **4.x brokers ignore it and deliver at once**: the producer
    /// warns in its log when it meets one.
    #[must_use]
    pub fn deliver_after(mut self, delay: Duration) -> Self {
        self.treatment().delay = Some(Delay::After(delay));
        self
    }

    /// As [`deliver_after`](Self::deliver_after), at this point in time (date and time) by the
    /// broker's clock (Java: `setDeliverTimeMs`). A time in the past means at once; a time before
    /// 1970 is refused.
    #[must_use]
    pub fn deliver_at(mut self, time: SystemTime) -> Self {
        self.treatment().delay = Some(Delay::At(time));
        self
    }

    /// Gives the message a priority, for topics of that type (Java: `setPriority`): 0 or more; a
    /// higher priority is delivered earlier. Brokers know this from 5.4 on; older ones ignore it,
    /// and the producer warns in its log.
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.treatment().priority = Some(priority);
        self
    }

    /// Puts the message into a lite topic, for topics of that type. Brokers know this from 5.5 on;
    /// older ones ignore it, and the producer warns in its log.
    #[must_use]
    pub fn lite_topic(mut self, name: impl Into<String>) -> Self {
        self.treatment().lite_topic = Some(name.into());
        self
    }

    /// Shows the message in a light queue too (property `INNER_MULTI_DISPATCH`), on brokers where
    /// that is turned on (`enableLmq`, `enableMultiDispatch`; 5.x). Consumers find it in the topic
    /// `%LMQ%name`, queue 0. A name must not be empty, nor contain a comma, a slash or a backslash.
    #[must_use]
    pub fn light_queue(mut self, name: impl Into<String>) -> Self {
        self.treatment().add_light_queue(name.into());
        self
    }

    /// In a transaction: how long the broker waits before its first check of the message, in whole
    /// seconds, rounded up (property `CHECK_IMMUNITY_TIME_IN_SECONDS`). Default: the broker's, 6 s.
    /// If that is shorter than the transaction takes, the checker is asked while the transaction is
    /// still under way.
    #[must_use]
    pub fn first_check_after(mut self, time: Duration) -> Self {
        self.treatment().first_check = Some(time);
        self
    }

    /// The same message as a part of a transaction, of a request or of a reply.
    #[must_use]
    pub(crate) fn part_of(mut self, part: Part) -> Self {
        self.treatment().part = part;
        self
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The body.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The tag, if one is set.
    pub fn tag_text(&self) -> Option<&str> {
        self.labels.as_ref().and_then(|labels| labels.tag.as_deref())
    }

    /// The keys.
    pub fn key_texts(&self) -> &[String] {
        self.labels.as_ref().map(|labels| labels.keys.as_slice()).unwrap_or_default()
    }

    /// The properties of the application.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &str)> {
        self.labels.iter().flat_map(|labels| labels.properties.iter())
    }

    /// The flag.
    pub fn flag_value(&self) -> i32 {
        self.flag
    }

    /// The key that orders the message, if one is set.
    pub fn ordering_key(&self) -> Option<&str> {
        match &self.destination {
            Destination::Key(key) => Some(key),
            _ => None,
        }
    }

    /// The given queue, if one is set.
    pub fn given_queue(&self) -> Option<&MessageQueue> {
        match &self.destination {
            Destination::Queue { queue, .. } => Some(queue),
            _ => None,
        }
    }

    /// When consumers get the message, if not at once: as
    /// [`delay_level`](Self::delay_level), [`deliver_after`](Self::deliver_after) or
    /// [`deliver_at`](Self::deliver_at) said last.
    pub fn delay(&self) -> Option<Delay> {
        self.treatment.as_ref()?.delay
    }

    /// The priority, if one is set.
    pub fn priority_value(&self) -> Option<i32> {
        self.treatment.as_ref()?.priority
    }

    pub(crate) fn topic_arc(&self) -> &Arc<str> {
        &self.topic
    }

    pub(crate) fn destination(&self) -> &Destination {
        &self.destination
    }

    /// Whether it has only the property that each message has: to wait until it is stored.
    pub(crate) fn is_bare(&self) -> bool {
        let Self { topic: _, body: _, flag: _, wait_stored, destination, labels, treatment } = self;
        let has_key = matches!(destination, Destination::Key(_));
        *wait_stored && !has_key && labels.is_none() && treatment.is_none()
    }

    /// Shows every property as it travels, without the unique id. No iterator: one of all that there
    /// may be is large, and every message's properties are gone over twice.
    #[inline]
    pub(crate) fn each_wire_property(&self, mut show: impl FnMut(&str, &str)) {
        self.each_own_property(&mut show);
        show(name::WAIT, if self.wait_stored { "true" } else { "false" });
    }

    /// As [`each_wire_property`](Self::each_wire_property), without the property that every message has.
    pub(crate) fn each_own_property(&self, mut show: impl FnMut(&str, &str)) {
        self.properties().for_each(|(n, value)| show(n, value));
        if let Some(tag) = self.tag_text() {
            show(name::TAGS, tag);
        }
        match self.key_texts() {
            [] => {}
            [key] => show(name::KEYS, key),
            keys => show(name::KEYS, &keys.join(" ")),
        }
        if let Some(key) = self.ordering_key() {
            show(name::SHARDING_KEY, key);
        }
        if let Some(treatment) = &self.treatment {
            treatment.properties().for_each(|(n, value)| show(n, &value));
        }
    }

    /// Says what is wrong with what it asks of its broker, if anything is.
    pub(crate) fn check_treatment(&self) -> Result<(), String> {
        self.treatment.as_ref().map_or(Ok(()), |treatment| treatment.check())
    }

    /// What it asks for and a broker of this version (`MQVersion` ordinal) passes over, and the
    /// version that knows it.
    pub(crate) fn passed_over_by(&self, version: i32) -> Vec<(&'static str, i32)> {
        let treatment = self.treatment.iter();
        treatment.flat_map(|treatment| treatment.passed_over_by(version)).collect()
    }

    /// What it is to a broker, in the words of OpenTelemetry.
    pub(crate) fn kind(&self) -> &'static str {
        match (self.part(), self.delay()) {
            (Part::Transaction, _) => "transaction",
            (_, Some(_)) => "delay",
            _ if self.ordering_key().is_some() => "fifo",
            _ => "normal",
        }
    }

    /// The level of its delay, if it has one.
    pub(crate) fn level_of_delay(&self) -> Option<i64> {
        match self.delay() {
            Some(Delay::Level(level)) => Some(i64::from(level)),
            _ => None,
        }
    }

    /// When it is to be delivered, in ms since 1970, if it has such a time.
    pub(crate) fn delivered_at_ms(&self) -> Option<i64> {
        self.delay()?.due_at_ms(SystemTime::now())
    }

    /// What the message is part of.
    pub(crate) fn part(&self) -> &Part {
        self.treatment.as_ref().map_or(&Part::None, |treatment| &treatment.part)
    }

    /// Whether brokers treat the message alike in a batch and alone. A new member of a message is
    /// considered here, too.
    pub(crate) fn is_ordinary(&self) -> bool {
        let Self { topic: _, body: _, flag: _, wait_stored: _, destination: _, labels, treatment } =
            self;
        if let Some(labels) = labels {
            // Properties are the application's own: what has a meaning to brokers is refused.
            let Labels { tag: _, keys: _, properties: _ } = &**labels;
        }
        treatment.is_none()
    }

    /// Bits that say what the message is to brokers.
    pub(crate) fn sys_flag(&self) -> i32 {
        match self.part() {
            Part::Transaction => sys_flag::PREPARED,
            Part::None | Part::Request(_) | Part::Reply(_) => 0,
        }
    }

    pub(crate) fn waits_until_stored(&self) -> bool {
        self.wait_stored
    }
}

/// The body is shown by its length alone: it may be large, and secret.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("topic", &self.topic)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .field("tag", &self.tag_text())
            .field("keys", &self.key_texts())
            .field("properties", &self.properties().count())
            .field("destination", &self.destination)
            .finish_non_exhaustive()
    }
}
