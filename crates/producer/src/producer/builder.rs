//! Settings of a producer, as an application makes them.

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use posthaste_protocol::{Compression, ResponseCode};

use crate::config::interceptor::Interceptor;
use crate::config::{Config, Linger};
#[cfg(feature = "tls")]
use crate::net::tls::Tls;
use crate::producer::runtime;
use crate::{
    CredentialsProvider, FaultAvoidance, NameServers, Producer, ReadMessage, Socks5, StartError,
    Text, TransactionState,
};

/// Settings of a producer. [`start`](Self::start) makes the producer, or says which setting is out
/// of its range ([`StartError::Setting`]).
///
/// All times are more than 0, and a time longer than a year counts as a year.
#[derive(Clone)]
pub struct ProducerBuilder {
    pub(super) config: Config,
    pub(super) name_servers: NameServers,
    pub(super) namespace: Option<String>,
    pub(super) namespace_v2: Option<String>,
    pub(super) trusted_brokers: Option<Vec<String>>,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Tls>,
}

impl ProducerBuilder {
    pub(crate) fn new(group: Arc<str>, name_servers: NameServers) -> Self {
        Self {
            config: Config::of(group),
            name_servers,
            namespace: None,
            namespace_v2: None,
            trusted_brokers: None,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// How long a send may take in all: waiting for room, looking up the route, connecting, every
    /// attempt. Default: 3 s. Shorter than a few round trips makes sends fail that would have been
    /// stored; longer makes callers wait longer for bad news.
    #[must_use]
    pub fn send_timeout(mut self, timeout: Duration) -> Self {
        self.config.send_timeout = timeout;
        self
    }

    /// How often a failed [`send`](Producer::send), [`send_batch`](Producer::send_batch),
    /// [`begin`](Producer::begin) or [`request`](Producer::request) is tried again. Default: 2. An
    /// attempt whose request never left, or that a busy broker refused, does not count. The
    /// deadline bounds them all.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.config.retries = retries;
        self
    }

    /// As [`retries`](Self::retries), for [`enqueue`](Producer::enqueue),
    /// [`try_enqueue`](Producer::try_enqueue) and [`send_oneway`](Producer::send_oneway).
    /// Default: 2.
    #[must_use]
    pub fn async_retries(mut self, retries: u32) -> Self {
        self.config.async_retries = retries;
        self
    }

    /// Answers of brokers that are worth another attempt, in addition to the codes that always are
    /// (Java: `addRetryResponseCode`): 1, 14, 204, 205, 1500 and, once, 16, 17, 501. It only adds
    /// codes: none of these can be removed, as `retryResponseCodes` can in Java.
    /// [`retries`](Self::retries) bounds all attempts. Default: none. A message that a busy broker
    /// refuses (2, 215) waits and is sent again anyway.
    #[must_use]
    pub fn retry_codes(mut self, codes: impl IntoIterator<Item = ResponseCode>) -> Self {
        self.config.retry_codes = codes.into_iter().collect();
        self
    }

    /// The most that one attempt may take while there are retries left (Java:
    /// `sendMsgMaxTimeoutPerRequest`). Default: none; half of the time that is left, and at least
    /// 500 ms, while another broker could take the message, and otherwise all of it. An attempt
    /// that ends this way may have been stored, so a short time makes duplicates. It does not apply
    /// to ordered messages: their attempts end at their own deadline, because their order could be
    /// lost otherwise.
    #[must_use]
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.config.attempt_timeout = Some(timeout);
        self
    }

    /// How to avoid brokers that are slow or do not answer, as long as another broker will do.
    /// Default: see [`FaultAvoidance`].
    #[must_use]
    pub fn fault_avoidance(mut self, avoidance: FaultAvoidance) -> Self {
        self.config.avoidance = avoidance;
        self
    }

    /// How many messages, and how many bytes of them, may be in flight at once. Further sends wait,
    /// and a send that finds no room by its deadline ends as
    /// [`ErrorKind::BufferFull`](crate::ErrorKind::BufferFull). Default: 10,000 messages and 32
    /// MiB; both at least 1, the bytes less than 4 GiB. Larger bounds do not make anything faster;
    /// more messages pile up while a broker is slow.
    #[must_use]
    pub fn max_pending(mut self, messages: usize, bytes: usize) -> Self {
        self.config.max_pending_messages = messages;
        self.config.max_pending_bytes = bytes;
        self
    }

    /// The largest body that is sent, in bytes. Default: 4 MiB, the brokers' own limit; raise it
    /// only together with the brokers' (`maxMessageSize`), and to at most 15 MiB. At least 1.
    #[must_use]
    pub fn max_message_size(mut self, bytes: usize) -> Self {
        self.config.max_message_size = bytes;
        self
    }

    /// The most queues that a topic gets when the first send creates it. Default: 4; at least 1.
    /// The broker's `defaultTopicQueueNums` (8) bounds it too.
    #[must_use]
    pub fn default_topic_queues(mut self, queues: u32) -> Self {
        self.config.default_topic_queues = queues;
        self
    }

    /// The topic that a new topic is modelled on when a send creates it (Java: `createTopicKey`):
    /// its brokers, and its settings there. Default: `TBW102`, which real brokers have with
    /// `autoCreateTopicEnable`. Another topic must exist, with the permission to inherit from it
    /// (7).
    ///
    /// Messages to a topic without a route go to the brokers of this topic. If this topic has no
    /// route either, they go to the brokers of `TBW102` (the only topic that Java 5.x looks up).
    /// The topic is in no [namespace](Self::namespace). [`start`](Self::start) refuses a name that
    /// no topic can have.
    #[must_use]
    pub fn create_topic_key(mut self, topic: impl Into<Text>) -> Self {
        self.config.default_topic = topic.into().into_arc();
        self
    }

    /// The zone that this producer is in (Java: `rocketmq.zone` with `rocketmq.zone.mode=true`):
    /// messages go to brokers of that zone only, while one of them has a queue that may be written.
    /// When none has, brokers of all zones take the messages, until the zone is back; Java fails
    /// then. Default: no zone, all brokers alike.
    ///
    /// Name servers of 5.x know zones, and brokers name their zone (`zoneName` in the route); older
    /// name servers answer with all brokers. Ordering keys pick among the queues of the zone, so
    /// producers in two zones send a key to different queues, as in Java. Calls of
    /// [`Admin`](crate::Admin) and a [`Reader`](crate::Reader) see all zones.
    #[must_use]
    pub fn zone(mut self, name: impl Into<String>) -> Self {
        self.config.zone = Some(name.into());
        self
    }

    /// Ceiling of the window: how many requests may be in flight to one broker. Default: 1,024; at
    /// least 1. The window finds its size by itself and stays far below this with a slow broker.
    #[must_use]
    pub fn max_window(mut self, requests: usize) -> Self {
        self.config.max_window = requests;
        self
    }

    /// How long a connect may take. Default: 1 s. A broker that does not answer a connect by then
    /// is left out for two seconds, while others take its messages.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.config.connect_timeout = timeout;
        self
    }

    /// Lets one-way messages leave as fast as the connection takes them. By default one in 64 goes
    /// as an ordinary request, so that they leave at the broker's pace; without that, brokers drop
    /// messages of a flood, and nothing reports it.
    #[must_use]
    pub fn oneway_unlimited(mut self) -> Self {
        self.config.oneway_unlimited = true;
        self
    }

    /// Whether messages that have to wait for room at a broker, or behind an ordered message of
    /// their queue, leave together as one batch. Default: on. Callers do not notice, except by the
    /// speed: each message keeps its own deadline, id, offset and outcome, and a message that need
    /// not wait leaves at once and alone. When off, every message is a separate request, which
    /// costs a broker several times the work.
    #[must_use]
    pub fn batching(mut self, on: bool) -> Self {
        self.config.batching = on;
        self
    }

    /// Makes messages wait on purpose for others to share their batch: at most for this time, and
    /// no longer once this many bytes (as they are stored) or 1,024 messages wait for a broker.
    /// Default: none; under load messages share batches anyway ([`batching`](Self::batching)), and
    /// a lone message leaves at once. A linger saves a broker requests when messages trickle in,
    /// and costs each of them up to this time, but never more than half of what a send has until
    /// its deadline.
    ///
    /// A time of zero means no linger. Any other time is refused together with
    /// [`batching(false)`](Self::batching). A batch has at most 1 MiB, even if `max_bytes` is larger.
    ///
    /// [`flush`](Producer::flush) and [`close`](Producer::close) end the wait. Messages that go
    /// alone (delayed, transactional, ordered ones and the like) do not wait.
    #[must_use]
    pub fn linger(mut self, time: Duration, max_bytes: usize) -> Self {
        self.config.linger = (!time.is_zero()).then_some(Linger { time, max_bytes });
        self
    }

    /// How bodies are compressed, from [`compress_from`](Self::compress_from) bytes on. Default:
    /// zlib, which every client reads. Consumers read LZ4 and zstd (features `lz4`, `zstd`) from
    /// 5.0 on; older consumers hand out garbage.
    #[must_use]
    pub fn compression(mut self, kind: Compression) -> Self {
        self.config.packing.kind = kind;
        self
    }

    /// How hard bodies are compressed. zlib: from 1, fast, to 9, small; 0 means not at all, and
    /// more counts as 9. zstd: from 1 to 22; 0 means its default, 3. LZ4 has no levels. Default: 5.
    /// High levels cost much time for few bytes; it is the time of the task that sends.
    #[must_use]
    pub fn compression_level(mut self, level: u32) -> Self {
        self.config.packing.level = level;
        self
    }

    /// Bodies of this many bytes and more are compressed, if that makes them smaller. Default:
    /// 4,096, as in Java (`compressMsgBodyOverHowmuch`); `usize::MAX` turns compression off.
    /// Consumers get bodies as they were sent, and do not notice.
    ///
    /// In a batch that is [sent as one](Producer::send_batch), all bodies are compressed if one of
    /// them has this length and they get smaller together; Java leaves batches as they are. Turn it
    /// off for topics of 5.x with batch queues (`queue.type=BatchCQ`), whose consumers cannot read
    /// such batches.
    #[must_use]
    pub fn compress_from(mut self, bytes: usize) -> Self {
        self.config.packing.from_bytes = bytes;
        self
    }

    /// Decides about undecided half messages: of transactions that were dropped, whose process has
    /// died, or whose end did not reach the broker. [`begin`](Producer::begin) needs one. Default:
    /// none.
    ///
    /// Brokers ask any member of the producer group, so every member needs a checker that finds out
    /// by the message (its id, keys, properties) what was done, for instance from a database. After
    /// [`Unknown`](TransactionState::Unknown) the broker asks again. It also does so after a panic,
    /// which ends only this check.
    ///
    /// A producer with a checker connects to the brokers of the default topic `TBW102`, and of
    /// [`topics`](Self::topics), as soon as it starts, so that they know it and ask it before it
    /// has sent anything. If no broker has the default topic (`autoCreateTopicEnable=false`), it
    /// finds the brokers by `SELF_TEST_TOPIC`. If name servers have no route to that topic either,
    /// it warns in its log, and you must name the transactions' topics with
    /// [`topics`](Self::topics).
    #[must_use]
    pub fn transaction_checker<F, D>(mut self, checker: F) -> Self
    where
        F: Fn(ReadMessage) -> D + Send + Sync + 'static,
        D: Future<Output = TransactionState> + Send + 'static,
    {
        self.config.checker = Some(Arc::new(move |half| Box::pin(checker(half))));
        self
    }

    /// How many transaction checks run at once, and how many more wait; further ones are dropped
    /// and counted, and the broker asks again. Default: 16 and 2,000; at once at least 1. More at
    /// once than the application's database can take makes all of them late.
    #[must_use]
    pub fn max_transaction_checks(mut self, at_once: usize, waiting: usize) -> Self {
        self.config.checks_at_once = at_once;
        self.config.checks_waiting = waiting;
        self
    }

    /// Rewrites the addresses that brokers advertise, for brokers behind Docker or NAT. The
    /// function gets `host:port` and gives another address, or `None` to keep it. If it panics, the
    /// address stays as it is. It is not called for name servers. Default: none.
    #[must_use]
    pub fn address_map(
        mut self,
        map: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.config.address_map = Some(Arc::new(map));
        self
    }

    /// Who this producer is, to servers with access control (`aclEnable` of 4.x, authentication of
    /// 5.x): every request is signed with these credentials, to name servers too. Give
    /// [`Credentials`](crate::Credentials), or a closure that gives the current ones. Default:
    /// none; a server that requires signatures then refuses with
    /// [`ErrorKind::Denied`](crate::ErrorKind::Denied).
    ///
    /// A signature proves who sends, and that nothing was changed on the way. Without TLS, anyone
    /// on the way can still read the messages.
    #[must_use]
    pub fn credentials(mut self, provider: impl CredentialsProvider) -> Self {
        self.config.seal.credentials = Some(Arc::new(provider));
        self
    }

    /// Connects to these brokers only, even if a route names others: hosts, by name or address, and
    /// networks (`10.1.0.0/16`, `fd00::/8`). Default: to every broker that a route names.
    ///
    /// Anyone who can change a name server's answers can name their own server, which would then
    /// get the [credentials](Self::credentials) and the messages. With this setting, nothing is
    /// sent to a server that is not in the list, not even a connect: a send ends as
    /// [`ErrorKind::Untrusted`](crate::ErrorKind::Untrusted), if no other broker can take it.
    ///
    /// The list is compared with the address of the connection, after the [address
    /// map](Self::address_map); all ports of a trusted host are trusted. A name in a route is
    /// trusted only if the list contains that very name, not the address that it resolves to. Name
    /// servers that an [address server](NameServers::address_server) names must be in the list too;
    /// name servers that the application names itself need not. [`start`](Self::start) refuses an
    /// empty list, and entries that are neither host nor network.
    ///
    /// ```
    /// # use posthaste::{Credentials, Producer};
    /// let builder = Producer::builder("order-service", "mq.example.org:9876")
    ///     .credentials(Credentials::new("orders", "secret"))
    ///     .trusted_brokers(["10.1.0.0/16", "broker.example.org"]);
    /// # drop(builder);
    /// ```
    #[must_use]
    pub fn trusted_brokers(mut self, brokers: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.trusted_brokers = Some(brokers.into_iter().map(Into::into).collect());
        self
    }

    /// Encrypts every connection, to name servers and brokers alike, and verifies the server: see
    /// [`Tls`]. Default: off. The handshake counts into the
    /// [`connect_timeout`](Self::connect_timeout). If it fails, nothing is sent in plain text
    /// instead: the send ends with [`ErrorKind::Tls`](crate::ErrorKind::Tls), if no other broker
    /// can take it. (Java: `useTLS`, which checks nothing by default.)
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Reaches all servers through a SOCKS5 proxy, an address server too: see [`Socks5`]. Default:
    /// none.
    #[must_use]
    pub fn socks5(mut self, proxy: Socks5) -> Self {
        self.config.socks5 = Some(proxy);
        self
    }

    /// Connects to brokers at the port two below the advertised port, which real brokers
    /// serve with separate threads (Java: `vipChannelEnabled`). Default: off. If a firewall or a
    /// container does not let that port through, every send fails to connect. An [address
    /// map](Self::address_map) gets the address with that port. A [`Reader`](crate::Reader) still
    /// reads from the advertised port, because the other port serves no reads.
    #[must_use]
    pub fn vip_channel(mut self, on: bool) -> Self {
        self.config.vip_channel = on;
        self
    }

    /// Distinguishes this producer from others of the same host in the brokers' listings: the
    /// client id is `ip@instance`. Default: the process id and a random number.
    ///
    /// Two clients of one host must not have the same name, because brokers then push replies
    /// ([`Producer::request`]) and transaction checks to either of them.
    #[must_use]
    pub fn instance_name(mut self, name: impl Into<String>) -> Self {
        self.config.identity.instance_name = Some(name.into());
        self
    }

    /// The address in the client id and in the ids of messages. Default: the address that this host
    /// uses towards others. It is only a name: it distinguishes hosts that have the same address
    /// behind NAT.
    #[must_use]
    pub fn client_ip(mut self, ip: IpAddr) -> Self {
        self.config.identity.ip = Some(ip);
        self
    }

    /// The unit that this producer belongs to, in an installation of several units: the last part
    /// of the client id (`ip@instance@unit`), and of the path that an [address
    /// server](NameServers::address_server) is asked for. Default: none. Letters, digits and `_ -
    /// .`.
    #[must_use]
    pub fn unit_name(mut self, name: impl Into<String>) -> Self {
        self.config.identity.unit_name = Some(name.into());
        self
    }

    /// Marks messages as being of a unit (`unitMode` in Java). Default: off. Brokers note it with
    /// topics that they create for such messages.
    #[must_use]
    pub fn unit_mode(mut self, on: bool) -> Self {
        self.config.identity.unit_mode = on;
        self
    }

    /// Puts the group and every topic into a namespace, as Java does: on the wire they are called
    /// `namespace%name`, and messages carry the namespace as property `INSTANCE_ID`. In messages,
    /// queues, receipts and errors of this library, they keep their own names. Topics of the system
    /// are in no namespace. Default: none.
    ///
    /// Consumers find the messages in the same namespace, or as `namespace%topic` without one. 1 to
    /// 100 letters, digits, `_` or `-`; a topic with its namespace has at most 127, a group at most
    /// 120.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = Some(namespace.into());
        self
    }

    /// A namespace of the second kind (5.x): names stay as they are, also on the wire, and every
    /// request carries the namespace in separate fields (`ns`, and `nsd=true`). Default: none. It
    /// is for servers that read these fields; open-source RocketMQ does not. It may be combined
    /// with [`namespace`](Self::namespace).
    #[must_use]
    pub fn namespace_v2(mut self, namespace: impl Into<String>) -> Self {
        self.namespace_v2 = Some(namespace.into());
        self
    }

    /// Topics to look up in the background as soon as the producer starts. It connects to their
    /// brokers too, so their first messages find everything ready. Default: none; a topic is looked
    /// up when it is first sent to. Naming a topic that does not exist is harmless: it is logged,
    /// and the producer starts.
    #[must_use]
    pub fn topics(mut self, topics: impl IntoIterator<Item = impl Into<Text>>) -> Self {
        self.config.topics = topics.into_iter().map(|one| one.into().into_arc()).collect();
        self
    }

    /// How long all name servers together may take to answer one look-up. Default: 3 s (Java:
    /// `mqClientApiTimeout`). After that they are asked again, as long as a message waits.
    #[must_use]
    pub fn lookup_timeout(mut self, timeout: Duration) -> Self {
        self.config.lookup_timeout = timeout;
        self
    }

    /// How often every known topic is looked up again. Default: 30 s (Java:
    /// `pollNameServerInterval`). With a longer interval, new queues and brokers are noticed later;
    /// a topic whose route is in doubt is looked up at once in any case. A shorter interval is more
    /// work for the name servers; less than 100 ms counts as 100 ms.
    #[must_use]
    pub fn route_poll_interval(mut self, interval: Duration) -> Self {
        self.config.route_poll_interval = interval;
        self
    }

    /// How often each connected broker gets a heartbeat. Default: 30 s (Java:
    /// `heartbeatBrokerInterval`); less than 120 s, after which brokers forget a client.
    #[must_use]
    pub fn heartbeat_interval(mut self, interval: Duration) -> Self {
        self.config.heartbeat_interval = interval;
        self
    }

    /// Whether heartbeats have a fingerprint, by which brokers of 5.x recognise a heartbeat that
    /// they had before (`useHeartbeatV2` in Java). Default: off. It spares consumers with many
    /// subscriptions traffic; to a producer it makes no difference. Older brokers ignore it.
    #[must_use]
    pub fn heartbeat_v2(mut self, on: bool) -> Self {
        self.config.heartbeat_v2 = on;
        self
    }

    /// Runs callbacks ([`on_complete`](crate::Delivery::on_complete)) through `executor`, such as a
    /// pool of threads (Java: `setCallbackExecutor`). Default: one after another on a thread of the
    /// producer.
    ///
    /// The executor is called where messages end, so it must hand over and not wait. A callback
    /// that it drops without running it, or panics at, runs on the producer's thread: each callback
    /// runs once.
    ///
    /// ```
    /// # use posthaste::Producer;
    /// let builder = Producer::builder("order-service", "127.0.0.1:9876")
    ///     .callback_executor(|callback| drop(std::thread::spawn(callback)));
    /// # drop(builder);
    /// ```
    #[must_use]
    pub fn callback_executor(
        mut self,
        executor: impl Fn(Box<dyn FnOnce() + Send>) + Send + Sync + 'static,
    ) -> Self {
        self.config.callback_executor = Some(Arc::new(executor));
        self
    }

    /// Adds an interceptor, which sees every attempt to send and may veto it or add properties.
    /// Default: none. Several are called in the order in which they are added; see [`Interceptor`]
    /// for where they run, and what they must not do there.
    #[must_use]
    pub fn interceptor(mut self, interceptor: impl Interceptor) -> Self {
        self.config.interceptors.push(Arc::new(interceptor));
        self
    }

    /// Whether to record in a trace topic of the cluster where each message was stored, and how
    /// long that took (`enableTrace` in Java). RocketMQ's tools and dashboards read that topic.
    /// Default: off.
    ///
    /// A separate producer sends the traces in the background, in the group
    /// `_INNER_TRACE_PRODUCER-…-PRODUCE`; sends neither wait for them nor fail with them. Records
    /// beyond 2,048 waiting ones are dropped and counted in
    /// [`Stats::traces_lost`](crate::Stats::traces_lost). [`close`](Producer::close) sends the
    /// remaining records within its time. Failed and one-way sends leave no trace, nor do messages
    /// that a broker does not want traced. Ten messages cost about one more.
    #[must_use]
    pub fn message_trace(mut self, on: bool) -> Self {
        self.config.message_trace = on;
        self
    }

    /// The topic that [`message_trace`](Self::message_trace) goes to. Default:
    /// `RMQ_SYS_TRACE_TOPIC`, which brokers have if their `traceTopicEnable` is set. Other brokers
    /// create it at the first trace, if they create topics at all. Messages to topics that begin
    /// with its name are not traced. [`start`](Self::start) refuses a name that no topic can have.
    #[must_use]
    pub fn trace_topic(mut self, name: impl Into<Text>) -> Self {
        self.config.trace_topic = name.into().into_arc();
        self
    }

    /// Starts the producer on the current tokio runtime, which must have timers and I/O
    /// (`enable_all`, as in `#[tokio::main]`). It does not wait for a connection: an unreachable
    /// name server shows at the first send.
    ///
    /// # Errors
    /// [`StartError`] if a setting is wrong; then nothing is running.
    ///
    /// # Cancellation
    /// Dropping the future before it gives the producer starts nothing.
    // Async, although nothing is awaited yet: what a producer may have to ask before its first
    // send must not change this signature.
    #[allow(clippy::unused_async)]
    pub async fn start(self) -> Result<Producer, StartError> {
        let runtime = runtime::current()?;
        Ok(Producer::launch(self.checked()?, &runtime))
    }
}

impl fmt::Debug for ProducerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProducerBuilder")
            .field("group", &self.config.group)
            .field("name_servers", &self.name_servers)
            .field("send_timeout", &self.config.send_timeout)
            .finish_non_exhaustive()
    }
}

impl Producer {
    /// Settings of a producer of `group`, for the cluster of these name servers: a list,
    /// `host:port;host:port`, or another way to find them ([`NameServers`]).
    ///
    /// A group name has 1 to 120 characters of `A-Z a-z 0-9 _ - % |`, and is not
    /// `DEFAULT_PRODUCER`; [`start`](ProducerBuilder::start) refuses other names with
    /// [`StartError::Group`].
    pub fn builder(
        group: impl Into<Text>,
        name_servers: impl Into<NameServers>,
    ) -> ProducerBuilder {
        ProducerBuilder::new(group.into().into_arc(), name_servers.into())
    }
}
