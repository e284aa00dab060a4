//! The settings of a producer, with their defaults.

mod avoidance;
mod batching;
mod checker;
pub(crate) mod credentials;
pub(crate) mod discovery;
pub(crate) mod identity;
pub(crate) mod interceptor;
pub(crate) mod namespace;
pub(crate) mod seal;

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use posthaste_protocol::ResponseCode;
use posthaste_protocol::request::DEFAULT_TOPIC;

pub use self::avoidance::FaultAvoidance;
pub(crate) use self::batching::Linger;
pub(crate) use self::checker::Checker;
pub use self::checker::TransactionState;
use self::discovery::Discovery;
use self::identity::Identity;
use self::interceptor::Interceptor;
use self::namespace::Namespace;
use self::seal::Seal;
use crate::Socks5;
use crate::message::packing::Packing;
#[cfg(feature = "tls")]
use crate::net::tls::Connector;
use crate::net::trusted::TrustedBrokers;

/// Rewrites an address that a broker advertises, such as `172.17.0.3:10911`, into one that can be
/// reached from here. `None` leaves it as it is.
pub(crate) type AddressMap = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Runs what it is given, at once or later, on any thread.
pub(crate) type Executor = dyn Fn(Box<dyn FnOnce() + Send>) + Send + Sync;

/// The topic that traces go to by default (Java: `TopicValidator`).
pub(crate) const TRACE_TOPIC: &str = "RMQ_SYS_TRACE_TOPIC";

/// Brokers forget a client, and close its connection, this long after its last heartbeat.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(120);

/// What is longer counts as this: no clock goes as far as `Duration::MAX`.
pub(crate) const LONGEST: Duration = Duration::from_secs(365 * 86_400);

#[derive(Clone)]
pub(crate) struct Config {
    /// As brokers know it: with the namespace.
    pub(crate) group: Arc<str>,
    /// As the application calls it.
    pub(crate) own_group: Arc<str>,
    pub(crate) namespace: Option<Namespace>,
    pub(crate) name_servers: Discovery,
    pub(crate) identity: Identity,
    /// Topics that are looked up at the start.
    pub(crate) topics: Vec<Arc<str>>,
    pub(crate) lookup_timeout: Duration,
    pub(crate) route_poll_interval: Duration,
    pub(crate) heartbeat_interval: Duration,
    pub(crate) heartbeat_v2: bool,
    pub(crate) send_timeout: Duration,
    pub(crate) retries: u32,
    pub(crate) async_retries: u32,
    pub(crate) retry_codes: Vec<ResponseCode>,
    pub(crate) attempt_timeout: Option<Duration>,
    pub(crate) avoidance: FaultAvoidance,
    pub(crate) max_pending_messages: usize,
    pub(crate) max_pending_bytes: usize,
    pub(crate) max_message_size: usize,
    pub(crate) default_topic_queues: u32,
    /// The topic that new ones are made like.
    pub(crate) default_topic: Arc<str>,
    /// Whose brokers are sent to before others.
    pub(crate) zone: Option<String>,
    pub(crate) max_window: usize,
    pub(crate) connect_timeout: Duration,
    pub(crate) oneway_unlimited: bool,
    pub(crate) batching: bool,
    pub(crate) linger: Option<Linger>,
    pub(crate) packing: Packing,
    pub(crate) address_map: Option<Arc<AddressMap>>,
    /// Whom to connect to when a route names them; everybody, if nothing is said.
    pub(crate) trusted: Option<TrustedBrokers>,
    pub(crate) seal: Seal,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Connector>,
    pub(crate) socks5: Option<Socks5>,
    pub(crate) vip_channel: bool,
    pub(crate) checker: Option<Arc<Checker>>,
    pub(crate) checks_at_once: usize,
    pub(crate) checks_waiting: usize,
    pub(crate) interceptors: Vec<Arc<dyn Interceptor>>,
    pub(crate) callback_executor: Option<Arc<Executor>>,
    pub(crate) message_trace: bool,
    pub(crate) trace_topic: Arc<str>,
}

impl Config {
    /// The defaults, of a producer of this group.
    pub(crate) fn of(group: Arc<str>) -> Self {
        Self {
            own_group: group.clone(),
            group,
            namespace: None,
            name_servers: Discovery::List(Vec::new()),
            identity: Identity::default(),
            topics: Vec::new(),
            lookup_timeout: Duration::from_secs(3),
            route_poll_interval: Duration::from_secs(30),
            heartbeat_interval: Duration::from_secs(30),
            heartbeat_v2: false,
            send_timeout: Duration::from_secs(3),
            retries: 2,
            async_retries: 2,
            retry_codes: Vec::new(),
            attempt_timeout: None,
            avoidance: FaultAvoidance::default(),
            max_pending_messages: 10_000,
            max_pending_bytes: 32 * 1024 * 1024,
            max_message_size: 4 * 1024 * 1024,
            default_topic_queues: 4,
            default_topic: DEFAULT_TOPIC.into(),
            zone: None,
            max_window: 1024,
            connect_timeout: Duration::from_secs(1),
            oneway_unlimited: false,
            batching: true,
            linger: None,
            packing: Packing::default(),
            address_map: None,
            trusted: None,
            seal: Seal::default(),
            #[cfg(feature = "tls")]
            tls: None,
            socks5: None,
            vip_channel: false,
            checker: None,
            checks_at_once: 16,
            checks_waiting: 2_000,
            interceptors: Vec::new(),
            callback_executor: None,
            message_trace: false,
            trace_topic: TRACE_TOPIC.into(),
        }
    }

    /// The name on the wire of a topic or group.
    pub(crate) fn on_wire<'a>(&self, name: &'a str) -> Cow<'a, str> {
        match &self.namespace {
            Some(namespace) => namespace.wrap(name),
            None => Cow::Borrowed(name),
        }
    }

    /// The application's name of a topic or group on the wire.
    pub(crate) fn off_wire<'a>(&self, name: &'a str) -> Cow<'a, str> {
        match &self.namespace {
            Some(namespace) => namespace.unwrap(name),
            None => Cow::Borrowed(name),
        }
    }

    /// The address to connect to, for one that a broker advertises.
    pub(crate) fn mapped(&self, address: &str) -> Arc<str> {
        let mapped = self.address_map.as_ref().and_then(|map| {
            // One that panics leaves the address as it is.
            catch_unwind(AssertUnwindSafe(|| map(address))).ok().flatten()
        });
        Arc::from(mapped.as_deref().unwrap_or(address))
    }

    /// Whether a server may be connected to that others have named, by its `host:port`.
    pub(crate) fn trusts(&self, address: &str) -> bool {
        self.trusted.as_ref().is_none_or(|trusted| trusted.trusts(address))
    }

    /// What no clock could show counts as [`LONGEST`].
    pub(crate) fn shorten_times(&mut self) {
        for time in [
            &mut self.send_timeout,
            &mut self.connect_timeout,
            &mut self.lookup_timeout,
            &mut self.route_poll_interval,
        ] {
            *time = (*time).min(LONGEST);
        }
        self.attempt_timeout = self.attempt_timeout.map(|time| time.min(LONGEST));
        if let Some(linger) = &mut self.linger {
            linger.time = linger.time.min(LONGEST);
        }
    }

    /// Says which time is out of its range, if one is.
    pub(crate) fn check_times(&self) -> Result<(), String> {
        let times = [
            ("send_timeout", self.send_timeout),
            ("connect_timeout", self.connect_timeout),
            ("attempt_timeout", self.attempt_timeout.unwrap_or(self.send_timeout)),
            ("lookup_timeout", self.lookup_timeout),
            ("route_poll_interval", self.route_poll_interval),
            ("heartbeat_interval", self.heartbeat_interval),
        ];
        if let Some((name, _)) = times.iter().find(|(_, time)| time.is_zero()) {
            return Err(format!("{name} must be longer than 0"));
        }
        match self.heartbeat_interval < FORGOTTEN_AFTER {
            true => Ok(()),
            false => Err("heartbeat_interval must be shorter than 120 s, after which brokers forget a client".into()),
        }
    }
}
