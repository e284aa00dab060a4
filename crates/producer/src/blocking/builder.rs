//! Settings of a producer whose calls wait.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use posthaste_protocol::{Compression, ResponseCode};

use super::Producer;
use super::runtime::Runtime;
use crate::{
    CredentialsProvider, FaultAvoidance, Interceptor, ReadMessage, Socks5, StartError, Text,
    TransactionState,
};

/// As the asynchronous [`ProducerBuilder`](crate::ProducerBuilder), whose settings and defaults it
/// has. [`start`](Self::start) makes the producer.
#[derive(Clone, Debug)]
#[must_use = "nothing runs until it is started"]
pub struct ProducerBuilder(crate::ProducerBuilder);

macro_rules! settings {
    ($($(#[$cfg:meta])? $name:ident($($argument:ident: $type:ty),*);)*) => {
        impl ProducerBuilder {
            $(
                $(#[$cfg])?
                #[doc = concat!(
                    "See [`", stringify!($name), "`](crate::ProducerBuilder::", stringify!($name),
                    ") of the asynchronous builder."
                )]
                pub fn $name(self, $($argument: $type),*) -> Self {
                    Self(self.0.$name($($argument),*))
                }
            )*
        }
    };
}

settings! {
    send_timeout(timeout: Duration);
    retries(retries: u32);
    async_retries(retries: u32);
    retry_codes(codes: impl IntoIterator<Item = ResponseCode>);
    attempt_timeout(timeout: Duration);
    fault_avoidance(avoidance: FaultAvoidance);
    max_pending(messages: usize, bytes: usize);
    max_message_size(bytes: usize);
    default_topic_queues(queues: u32);
    create_topic_key(topic: impl Into<Text>);
    zone(name: impl Into<String>);
    callback_executor(executor: impl Fn(Box<dyn FnOnce() + Send>) + Send + Sync + 'static);
    max_window(requests: usize);
    connect_timeout(timeout: Duration);
    oneway_unlimited();
    batching(on: bool);
    linger(time: Duration, max_bytes: usize);
    compression(kind: Compression);
    compression_level(level: u32);
    compress_from(bytes: usize);
    max_transaction_checks(at_once: usize, waiting: usize);
    address_map(map: impl Fn(&str) -> Option<String> + Send + Sync + 'static);
    credentials(provider: impl CredentialsProvider);
    trusted_brokers(brokers: impl IntoIterator<Item = impl Into<String>>);
    #[cfg(feature = "tls")]
    tls(tls: crate::Tls);
    socks5(proxy: Socks5);
    vip_channel(on: bool);
    instance_name(name: impl Into<String>);
    client_ip(ip: IpAddr);
    unit_name(name: impl Into<String>);
    unit_mode(on: bool);
    namespace(namespace: impl Into<String>);
    namespace_v2(namespace: impl Into<String>);
    topics(topics: impl IntoIterator<Item = impl Into<Text>>);
    lookup_timeout(timeout: Duration);
    route_poll_interval(interval: Duration);
    heartbeat_interval(interval: Duration);
    heartbeat_v2(on: bool);
    interceptor(interceptor: impl Interceptor);
    message_trace(on: bool);
    trace_topic(name: impl Into<Text>);
}

impl ProducerBuilder {
    pub(super) fn new(builder: crate::ProducerBuilder) -> Self {
        Self(builder)
    }

    /// Says what became of half messages that are undecided: see
    /// [`transaction_checker`](crate::ProducerBuilder::transaction_checker) of the asynchronous
    /// builder. Each check runs on a separate thread and may wait.
    pub fn transaction_checker(
        self,
        checker: impl Fn(ReadMessage) -> TransactionState + Send + Sync + 'static,
    ) -> Self {
        let checker = Arc::new(checker);
        Self(self.0.transaction_checker(move |half| {
            let checker = checker.clone();
            let checked = tokio::task::spawn_blocking(move || checker(half));
            async {
                match checked.await.map_err(tokio::task::JoinError::try_into_panic) {
                    Ok(state) => state,
                    // It is contained in the same place as the panics of all checkers.
                    Err(Ok(panic)) => std::panic::resume_unwind(panic),
                    // The runtime ends.
                    Err(Err(_)) => TransactionState::Unknown,
                }
            }
        }))
    }

    /// Starts the producer, on its own thread. No connection is waited for: that a name server
    /// cannot be reached shows at the first send.
    ///
    /// # Errors
    /// [`StartError`] when a setting is wrong, or there is no thread to be had; nothing is running
    /// then.
    pub fn start(self) -> Result<Producer, StartError> {
        let (producer, runtime) = Runtime::start(self.0)?;
        Ok(Producer { producer, runtime: Arc::new(runtime) })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// The names of the setters in a source.
    fn setters(source: &str, start: &str, end: &str) -> BTreeSet<String> {
        let names = source.lines().filter_map(|line| {
            let rest = line.trim().strip_prefix(start)?;
            Some(rest.split(end).next()?.to_owned())
        });
        names.filter(|name| !name.is_empty() && !name.starts_with('#')).collect()
    }

    #[test]
    fn every_setting_of_the_asynchronous_builder_is_here() {
        let config = include_str!("../producer/builder.rs");
        let (builder, _) = config.split_once("pub async fn start").unwrap();
        let theirs = setters(builder, "pub fn ", "(");
        let (_, here) = include_str!("builder.rs").split_once("settings! {\n").unwrap();
        let (listed, rest) = here.split_once("\n}").unwrap();
        let (written, _) = rest.split_once("pub fn start").unwrap();
        let mut ours = setters(listed, "", "(");
        ours.extend(setters(written, "pub fn ", "("));
        let theirs: BTreeSet<String> =
            theirs.iter().map(|name| name.split('<').next().unwrap_or_default().into()).collect();
        assert_eq!(ours, theirs);
        assert!(theirs.contains("send_timeout"), "{theirs:?}");
    }
}
