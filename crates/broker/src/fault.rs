//! Fault rules: which requests a broker answers otherwise than it should, and how.
//!
//! A rule is plain data ([`Fault`]), and whether it hits a request is decided without a clock, a socket or
//! chance that could not be repeated. The engine's loop carries out what was decided.

mod action;
mod asked;
mod check;
mod error;
mod lie;
mod line_faults;
mod on;
mod place;
mod routes_before;
mod rule;
mod rules;
mod which;
mod words;

use std::time::Duration;

use posthaste_protocol::ResponseCode;

pub(crate) use self::action::Action;
pub(crate) use self::asked::Asked;
pub use self::error::FaultError;
pub(crate) use self::lie::Lie;
pub(crate) use self::line_faults::LineFaults;
pub use self::on::{On, Requests, SendKind};
use self::place::Place;
pub(crate) use self::rule::FaultHit;
pub use self::rule::FaultRule;
pub(crate) use self::rules::FaultRules;
use self::which::Which;

/// Bytes in place of an answer: no frame has such a length.
pub(crate) const GARBAGE: [u8; 16] = [0xFF; 16];

/// A rule for [`fault`](crate::BrokerHandle::fault) of a broker: on which requests the broker misbehaves, and how.
///
/// ```
/// # use std::time::Duration;
/// # use posthaste_broker::{Broker, Fault, On};
/// # use posthaste_protocol::ResponseCode;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let broker = Broker::builder().start().await?;
/// // The first three sends to "orders" are refused: nothing is stored.
/// let busy = Fault::on(On::Send).topic("orders").first(3).refuse(ResponseCode::SYSTEM_BUSY);
/// let busy = broker.fault(busy)?;
/// // Every tenth send is stored, and the producer never hears of it.
/// broker.fault(Fault::on(On::Send).every(10).after_store().no_answer())?;
/// // One send in a hundred takes 200 ms longer; the same ones in every run.
/// let slow = Fault::on(On::Send).with_probability(0.01, 7);
/// broker.fault(slow.delay(Duration::from_millis(200)))?;
/// assert_eq!(busy.hits(), 0);
/// # broker.stop().await;
/// # Ok(())
/// # }
/// ```
///
/// **Which requests.** A request has to fit every condition: [`topic`](Self::topic),
/// [`queue`](Self::queue), [`group`](Self::group), [`client`](Self::client), [`key`](Self::key),
/// [`tag`](Self::tag), [`port`](Self::port). Those that fit are numbered from 1, and the number alone (with the seed of
/// [`with_probability`](Self::with_probability)) decides which of them are hit; the others are spared. A batch is one
/// request: it fits when one of its messages has the key or the tag, and it is hit or spared as a whole.
///
/// **When.** Before the request is carried out, unless [`after_store`](Self::after_store) is said:
/// then after the commit, when the message has its offset and consumers see it. What is done *to* an
/// answer ([`status`](Self::status), [`cut_after`](Self::cut_after), [`trickle`](Self::trickle),
/// [`answer_twice`](Self::answer_twice), [`answer_to_another_number`](Self::answer_to_another_number)) needs one, so
/// the request is carried out, and a message is stored, in any case.
///
/// **Several rules** are asked in the order in which they were added. The first that hits a request acts, and the rules
/// behind it do not see that request; [`pass`](Self::pass) only counts.
///
/// **In words**, for the shell and for JSON (a member for each word), a rule reads
/// `on=send topic=orders first=3 do=refuse code=SYSTEM_BUSY`. It is parsed, and written by `Display`:
///
/// ```
/// # use posthaste_broker::{Fault, On};
/// let lost: Fault = "on=send every=10 point=after-store do=no-answer".parse()?;
/// assert_eq!(lost, Fault::on(On::Send).every(10).after_store().no_answer());
/// let json = r#"{"on": "send", "every": 10, "point": "after-store", "do": "no-answer"}"#;
/// assert_eq!(lost, serde_json::from_str(json)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// | word | value | default |
/// |---|---|---|
/// | `on` | `send`, `route`, `heartbeat`, `transaction-end`, `recall`, `reply`, `pull`, `query`, `topic-creation`, `connect`, or the number of a code | |
/// | `kind` | of sends: `single`, `batch`, `one-way` | all |
/// | `topic`, `queue`, `group`, `client`, `key`, `tag`, `port` | the condition | any |
/// | `first`, `after`, `every` | a number | all |
/// | `probability`, `seed` | 0 to 1, and a number | seed 0 |
/// | `for` | a time: `10s`, `200ms` | until it is removed |
/// | `point` | `before-store`, `after-store` | `before-store` |
/// | `do` | the action, with `-` where its method has `_` | |
/// | `code`, `remark` | of `refuse`; `code` of `status` too: a name or a number | |
/// | `by` | the time of `delay`, `slow-close` and `stale-by` | |
/// | `jitter` | of `delay`: a time | none |
/// | `bytes` | of `cut-after` and `cut-request-after` | |
/// | `rate` | bytes a second, of `trickle`, `read-at` and `write-at` | |
/// | `address`, `count` | of `another-address`, `queues` | |
///
/// **Connections as a whole.** [`stop_reading`](Self::stop_reading), [`read_at`](Self::read_at) and
/// [`write_at`](Self::write_at) begin with the request that is hit, or with the connection
/// ([`On::Connect`]; an encrypted one shakes hands first), and end with the rule.
///
/// **Requests without an answer** (one-way) fit only rules that work without one: [`no_answer`](Self::no_answer) and
/// [`delay`](Self::delay) before the store, [`close`](Self::close), [`reset`](Self::reset),
/// [`slow_close`](Self::slow_close), [`cut_request_after`](Self::cut_request_after), those on connections as a
/// whole, and `pass`. A rule for [one-way sends](On::one_way) with another action is an error.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    pub(crate) requests: Requests,
    pub(crate) place: Place,
    pub(crate) which: Which,
    pub(crate) after_store: bool,
    /// A rule has one; more, or none, are an error later.
    pub(crate) actions: Vec<Action>,
    pub(crate) remark: Option<String>,
    /// How much shorter or longer a delay may be.
    pub(crate) jitter: Option<Duration>,
}

impl Fault {
    /// A rule for these requests. It needs one action: [`refuse`](Self::refuse) or another one.
    pub fn on(requests: impl Into<Requests>) -> Self {
        Self {
            requests: requests.into(),
            place: Place::default(),
            which: Which::default(),
            after_store: false,
            actions: Vec::new(),
            remark: None,
            jitter: None,
        }
    }

    /// Only requests about this topic, as the client names it.
    pub fn topic(mut self, topic: impl Into<String>) -> Self {
        self.place.topic = Some(topic.into());
        self
    }

    /// Only requests about this queue number.
    pub fn queue(mut self, queue: u16) -> Self {
        self.place.queue = Some(queue);
        self
    }

    /// Only requests of this group: the producer group of a send, the consumer group of a pull.
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.place.group = Some(group.into());
        self
    }

    /// Only requests of this client id. A connection has one from its first heartbeat on; Posthaste's
    /// and most other producers send that before anything else.
    pub fn client(mut self, id: impl Into<String>) -> Self {
        self.place.client = Some(id.into());
        self
    }

    /// Only sends with a message that has this key.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.place.key = Some(key.into());
        self
    }

    /// Only sends with a message that has this tag.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.place.tag = Some(tag.into());
        self
    }

    /// Only requests that come in at this port of the broker: each of its two ports takes all requests.
    pub fn port(mut self, port: u16) -> Self {
        self.place.port = Some(port);
        self
    }

    /// Hits at most this many requests, the first ones.
    pub fn first(mut self, requests: u64) -> Self {
        self.which.first = Some(requests);
        self
    }

    /// Spares this many requests before it begins.
    pub fn after(mut self, requests: u64) -> Self {
        self.which.after = requests;
        self
    }

    /// Hits every n-th request: with 10 the tenth, the twentieth and so on.
    pub fn every(mut self, n: u64) -> Self {
        self.which.every = Some(n);
        self
    }

    /// Hits a request with this probability, 0 to 1. The same seed hits the same requests, by their numbers.
    pub fn with_probability(mut self, probability: f64, seed: u64) -> Self {
        self.which.probability = Some((probability, seed));
        self
    }

    /// Fits requests for this long after the rule was added; default: until it is removed.
    pub fn for_time(mut self, time: Duration) -> Self {
        self.which.time = Some(time);
        self
    }

    /// Acts once the request is carried out and what it stores is committed. Default: before.
    pub fn after_store(mut self) -> Self {
        self.after_store = true;
        self
    }

    /// Refuses the request with this code, and nothing is stored; with [`after_store`](Self::after_store) something is.
    pub fn refuse(self, code: ResponseCode) -> Self {
        self.action(Action::Refuse(code))
    }

    /// What a refusal says beside its code.
    pub fn remark(mut self, remark: impl Into<String>) -> Self {
        self.remark = Some(remark.into());
        self
    }

    /// Stores the messages of a send, and answers with `FLUSH_DISK_TIMEOUT` (10),
    /// `SLAVE_NOT_AVAILABLE` (11) or `FLUSH_SLAVE_TIMEOUT` (12).
    pub fn status(self, code: ResponseCode) -> Self {
        self.action(Action::Status(code))
    }

    /// Gives no answer. Nothing is stored, unless [`after_store`](Self::after_store) is said. On
    /// [`On::Connect`] nothing that comes on the connection is looked at.
    pub fn no_answer(self) -> Self {
        self.action(Action::NoAnswer)
    }

    /// Carries the request out this much later; with [`after_store`](Self::after_store) at once, and the
    /// answer leaves later. Answers behind it on the connection do not wait for it.
    ///
    /// What is held when the broker stops is dropped, unanswered. At most 64 MiB are held at a
    /// time: what is more is refused with `SYSTEM_BUSY`, and answers leave at once.
    pub fn delay(self, time: Duration) -> Self {
        self.action(Action::Delay(time))
    }

    /// Makes each delay up to this much shorter or longer, evenly: `delay(200 ms)` with a jitter of 50 ms is
    /// 150 to 250 ms. How long it is follows from the number of the request and the seed of
    /// [`with_probability`](Self::with_probability) (without one, 0), so it is the same in every run.
    pub fn jitter(mut self, most: Duration) -> Self {
        self.jitter = Some(most);
        self
    }

    /// Closes the connection once earlier answers are written. What the client sent behind this request on
    /// the connection, and was not looked at yet, is not carried out.
    pub fn close(self) -> Self {
        self.action(Action::Close)
    }

    /// As [`close`](Self::close), with a reset (RST): the client may lose earlier answers too.
    pub fn reset(self) -> Self {
        self.action(Action::Reset)
    }

    /// Closes the connection this much later. Until then it stays open, and nothing that comes on it is
    /// carried out, this request included; with [`after_store`](Self::after_store) the request is, and its
    /// answer is lost.
    pub fn slow_close(self, time: Duration) -> Self {
        self.action(Action::SlowClose(time))
    }

    /// Resets the connection once this many bytes of the request have come; the request is not carried
    /// out. One that is no longer than that is. On [`On::Connect`] the bytes of the whole connection count.
    ///
    /// Rules that cut requests are asked while a request arrives: before all other rules, and without
    /// knowing the client, or more than the beginning of a batch.
    pub fn cut_request_after(self, bytes: usize) -> Self {
        self.action(Action::CutRequestAfter(bytes))
    }

    /// Carries the request out, and reads nothing more from its connection until the rule is removed, or
    /// its [time](Self::for_time) is over: what the client writes then backs up. Requests that were read
    /// with this one are carried out.
    pub fn stop_reading(self) -> Self {
        self.action(Action::StopReading)
    }

    /// Carries the request out, and reads its connection at this many bytes a second until the rule is
    /// removed, or its [time](Self::for_time) is over.
    pub fn read_at(self, bytes_per_second: u32) -> Self {
        self.action(Action::ReadAt(bytes_per_second))
    }

    /// Carries the request out, and writes to its connection at this many bytes a second until the rule is
    /// removed, or its [time](Self::for_time) is over; its own answer too.
    pub fn write_at(self, bytes_per_second: u32) -> Self {
        self.action(Action::WriteAt(bytes_per_second))
    }

    /// Writes this many bytes of the answer, then closes the connection. A shorter answer arrives whole.
    pub fn cut_after(self, bytes: usize) -> Self {
        self.action(Action::CutAfter(bytes))
    }

    /// Writes the answer at this many bytes a second. Answers behind it on the connection wait.
    pub fn trickle(self, bytes_per_second: u32) -> Self {
        self.action(Action::Trickle(bytes_per_second))
    }

    /// Writes the answer twice.
    pub fn answer_twice(self) -> Self {
        self.action(Action::AnswerTwice)
    }

    /// Gives the answer the number of a request that the client never made.
    pub fn answer_to_another_number(self) -> Self {
        self.action(Action::AnswerToAnotherNumber)
    }

    /// Writes 16 bytes in place of the answer that are not the protocol.
    pub fn garbage(self) -> Self {
        self.action(Action::Garbage)
    }

    /// Answers `GO_AWAY` (1500), as a 5.x server that is about to stop: nothing is stored, and the client
    /// is to use another connection.
    pub fn go_away(self) -> Self {
        self.action(Action::GoAway)
    }

    /// Only counts the request.
    pub fn pass(self) -> Self {
        self.action(Action::Pass)
    }

    /// A route is answered as if the topic did not exist.
    pub fn unknown(self) -> Self {
        self.action(Action::Lie(Lie::Unknown))
    }

    /// A route has no brokers and no queues.
    pub fn empty(self) -> Self {
        self.action(Action::Lie(Lie::Empty))
    }

    /// A route has a slave at the broker's address, and no master.
    pub fn without_master(self) -> Self {
        self.action(Action::Lie(Lie::WithoutMaster))
    }

    /// A route has the broker at this `host:port`.
    pub fn another_address(self, address: impl Into<String>) -> Self {
        self.action(Action::Lie(Lie::AnotherAddress(address.into())))
    }

    /// A route has this many queues to read and to write.
    pub fn queues(self, queues: u16) -> Self {
        self.action(Action::Lie(Lie::Queues(queues)))
    }

    /// A route says that nothing may be written.
    pub fn without_write_permission(self) -> Self {
        self.action(Action::Lie(Lie::WithoutWritePermission))
    }

    /// A route is answered as it was this long ago: a change is told this long after the first question
    /// that would have shown it. The first question about a topic gets the route as it is.
    pub fn stale_by(self, time: Duration) -> Self {
        self.action(Action::Lie(Lie::StaleBy(time)))
    }

    fn action(mut self, action: Action) -> Self {
        self.actions.push(action);
        self
    }
}
