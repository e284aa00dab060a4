//! Settings of a broker.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::accounts::Accounts;
use crate::encryption::{Certificate, Encryption};
use crate::engine::Identity;
use crate::engine::halves::{LIFE_MS, Timing};
use crate::engine::registry::Member;
use crate::engine::topics::{MAX_TOPIC_LENGTH, is_name};
use crate::error::BrokerError;
use crate::location::MAX_QUEUES;
use crate::store::WhenFull;

const MIB: u64 = 1024 * 1024;
/// With less, one turn's messages would be more than a part of it.
const LEAST_DATA_LIMIT: u64 = 16 * MIB;
const CLUSTER: &str = "DefaultCluster";

/// Settings of a broker that is about to start. Everything has a default.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it is started"]
pub struct BrokerBuilder {
    pub(crate) listen: IpAddr,
    pub(crate) name_server_port: u16,
    pub(crate) broker_port: u16,
    pub(crate) memory_limit: u64,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) data_limit: u64,
    pub(crate) when_full: WhenFull,
    pub(crate) connections_per_address: usize,
    pub(crate) topics: Vec<(String, u16)>,
    pub(crate) accounts: Accounts,
    certificate: Option<Certificate>,
    tls_only: bool,
    transaction_timeout: Duration,
    transaction_check_interval: Duration,
    transaction_check_max: u32,
    advertise: Option<String>,
    pub(crate) broker_name: String,
    /// Its part in a cluster of several brokers.
    pub(crate) member: Option<Member>,
    allow_anyone: bool,
    auto_create_topics: bool,
    default_topic_queues: u32,
    pub(crate) sql_filters: bool,
}

impl Default for BrokerBuilder {
    fn default() -> Self {
        Self {
            listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
            name_server_port: 0,
            broker_port: 0,
            advertise: None,
            broker_name: "dev".to_owned(),
            member: None,
            memory_limit: 64 * MIB,
            data_dir: None,
            data_limit: 1024 * MIB,
            when_full: WhenFull::default(),
            connections_per_address: 64,
            allow_anyone: false,
            auto_create_topics: true,
            default_topic_queues: 8,
            sql_filters: false,
            topics: Vec::new(),
            accounts: Accounts::default(),
            certificate: None,
            tls_only: false,
            transaction_timeout: Duration::from_secs(6),
            transaction_check_interval: Duration::from_secs(30),
            transaction_check_max: 15,
        }
    }
}

impl BrokerBuilder {
    /// The address to listen on. Default 127.0.0.1. An address that other machines can reach also
    /// needs an [`access_key`](Self::access_key), or
    /// [`allow_anyone_to_connect`](Self::allow_anyone_to_connect).
    pub fn listen(mut self, address: IpAddr) -> Self {
        self.listen = address;
        self
    }

    /// Lets the broker listen on an address that other machines can reach. Anyone who can reach it
    /// can read and write everything, unless there is an [`access_key`](Self::access_key).
    pub fn allow_anyone_to_connect(mut self) -> Self {
        self.allow_anyone = true;
        self
    }

    /// Adds an account. With at least one, every request must be signed by an account, on both
    /// ports; other requests are refused with code 16, as by 5.x with authentication. Default:
    /// none, everyone may do everything. An account may do everything too.
    ///
    /// The secret has at least 7 characters. It never travels, but without [`tls`](Self::tls)
    /// messages travel readably.
    pub fn access_key(
        mut self,
        access_key: impl Into<String>,
        secret_key: impl Into<String>,
    ) -> Self {
        self.accounts.add(access_key.into(), secret_key.into());
        self
    }

    /// Takes encrypted connections too, on both ports: with this certificate, followed by the
    /// certificates that lead to its root, and its key (PKCS#8, PKCS#1 or SEC1, not encrypted),
    /// both PEM. As with real brokers, plain connections are still taken. Default: only plain
    /// connections.
    pub fn tls(mut self, certificate_pem: impl Into<Vec<u8>>, key_pem: impl Into<Vec<u8>>) -> Self {
        self.certificate = Some(Certificate { chain: certificate_pem.into(), key: key_pem.into() });
        self
    }

    /// Closes connections that are not encrypted. Needs [`tls`](Self::tls).
    pub fn tls_only(mut self) -> Self {
        self.tls_only = true;
        self
    }

    /// The port of the name server. Default 0: any free one, so that several brokers can run; ask
    /// [`Broker::name_server`](crate::Broker::name_server). The port that clients expect is 9876.
    pub fn name_server_port(mut self, port: u16) -> Self {
        self.name_server_port = port;
        self
    }

    /// The port of the broker. Default 0: any free one; ask
    /// [`Broker::address`](crate::Broker::address). The usual port is 10911.
    pub fn broker_port(mut self, port: u16) -> Self {
        self.broker_port = port;
        self
    }

    /// Lets consumers choose messages with SQL92 expressions over their properties (Java:
    /// `MessageSelector.bySql`), of at most 1,024 bytes. Default: off, such consumers are refused,
    /// as by real brokers, whose `enablePropertyFilter` is off by default.
    pub fn sql_filters(mut self) -> Self {
        self.sql_filters = true;
        self
    }

    /// The host that routes tell clients to connect to. Default: the address to listen on. Set it
    /// when clients reach the broker by another name, as through a container's port; a wrong host
    /// makes every send fail to connect. A name or an address without a port. Needed when the
    /// broker listens on every address (`0.0.0.0`, `::`), because clients cannot connect to these.
    pub fn advertise(mut self, host: impl Into<String>) -> Self {
        self.advertise = Some(host.into());
        self
    }

    /// The broker's name, by which clients distinguish queues of different brokers. Default `dev`.
    /// Letters, digits, `_`, `-`, `%` and `|`, at most 127.
    pub fn broker_name(mut self, name: impl Into<String>) -> Self {
        self.broker_name = name.into();
        self
    }

    /// How many bytes of messages are kept in memory. Default 64 MiB. Beyond it the oldest are
    /// dropped, and least offsets rise; if it is too small, consumers miss messages. It has no
    /// effect with a [`data_dir`](Self::data_dir), which has a [`data_limit`](Self::data_limit).
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.memory_limit = bytes;
        self
    }

    /// A folder to keep messages, topics and offsets in; created when missing. Default: none,
    /// everything is in memory. With it, a send is answered once its message is synced to disk.
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(folder.into());
        self
    }

    /// How many bytes the files of the data folder may have, at least 16 MiB. Default 1 GiB. While
    /// one of them grows, they may have a quarter more for a moment. [`when_full`](Self::when_full)
    /// says what happens at the limit.
    pub fn data_limit(mut self, bytes: u64) -> Self {
        self.data_limit = bytes;
        self
    }

    /// What happens to new messages once the [`data_limit`](Self::data_limit) is reached. Default
    /// [`WhenFull::Drop`]: the oldest messages are dropped, about a sixteenth of them at once, even
    /// if they still wait for their time or a decision. Least offsets rise;
    /// [`BrokerStats::dropped`](crate::BrokerStats::dropped) counts.
    pub fn when_full(mut self, when_full: WhenFull) -> Self {
        self.when_full = when_full;
        self
    }

    /// How many connections one address may have at a time, over both ports: 64 by default, at least
    /// one. Further connections are closed at once. Raise it where many clients come from one
    /// address, as behind NAT. Loopback addresses are not limited. Altogether there may be 1,024
    /// connections: for one more, the connection that has been silent for longest is closed, of the
    /// address that has most.
    pub fn connections_per_address(mut self, connections: usize) -> Self {
        self.connections_per_address = connections;
        self
    }

    /// Whether a send to a topic that does not exist creates it. Default true.
    pub fn auto_create_topics(mut self, yes: bool) -> Self {
        self.auto_create_topics = yes;
        self
    }

    /// The most queues of a topic that a send creates. Default 8, at most 1,024. Clients ask for 4
    /// by default, and the smaller number counts.
    pub fn default_topic_queues(mut self, queues: u32) -> Self {
        self.default_topic_queues = queues;
        self
    }

    /// Creates a topic at the start, unless it exists already. At most 1,024 queues.
    pub fn topic(mut self, name: impl Into<String>, queues: u32) -> Self {
        // Too many is an error at the start; 0 stands for it there.
        self.topics.push((name.into(), u16::try_from(queues).unwrap_or(0)));
        self
    }

    /// The time after which the producers of a half message are asked for its decision, if they
    /// have not sent one. Default 6 s; at least 1 ms. A message may ask for another time itself
    /// (`CHECK_IMMUNITY_TIME_IN_SECONDS`). If it is shorter than a local transaction takes,
    /// producers are asked about transactions that they have not decided yet. More than three days
    /// counts as three. Java: `transactionTimeOut`.
    pub fn transaction_timeout(mut self, timeout: Duration) -> Self {
        self.transaction_timeout = timeout;
        self
    }

    /// The time until they are asked again. Default 30 s; at least 1 ms. No check is sent while no
    /// member of the group is connected; a member that connects is asked at once about what is due.
    /// Java: `transactionCheckInterval`.
    pub fn transaction_check_interval(mut self, interval: Duration) -> Self {
        self.transaction_check_interval = interval;
        self
    }

    /// How often they are asked. Default 15. A message that is still undecided then goes to the
    /// topic `TRANS_CHECK_MAX_TIME_TOPIC` and is never delivered; with 0, that happens to every
    /// message that is not decided before the first check. Java: `transactionCheckMax`.
    pub fn transaction_check_max(mut self, times: u32) -> Self {
        self.transaction_check_max = times;
        self
    }

    pub(crate) fn check(&self) -> Result<(), BrokerError> {
        let setting = |text: String| Err(BrokerError::Setting(text));
        if !self.listen.is_loopback() && !self.allow_anyone && self.accounts.is_empty() {
            return Err(BrokerError::NotLoopback(self.listen));
        }
        match &self.advertise {
            Some(host) => check_host(host).map_err(BrokerError::Setting)?,
            None if self.listen.is_unspecified() => {
                return Err(BrokerError::NoAddress(self.listen));
            }
            None => {}
        }
        self.accounts.check().map_err(BrokerError::Setting)?;
        if !is_name(&self.broker_name, MAX_TOPIC_LENGTH) || self.broker_name == CLUSTER {
            return setting(format!("`{}` is not a valid broker name", self.broker_name));
        }
        if self.data_limit < LEAST_DATA_LIMIT {
            return setting("the data limit is at least 16 MiB".to_owned());
        }
        if self.connections_per_address == 0 {
            return setting("an address needs at least one connection".to_owned());
        }
        if !(1..=u32::from(MAX_QUEUES)).contains(&self.default_topic_queues) {
            let queues = self.default_topic_queues;
            return setting(format!("a topic has 1 to {MAX_QUEUES} queues, not {queues}"));
        }
        for (topic, queues) in &self.topics {
            if !is_name(topic, MAX_TOPIC_LENGTH) {
                return setting(format!("`{topic}` is not a valid topic name"));
            }
            if !(1..=MAX_QUEUES).contains(queues) {
                return setting(format!("topic {topic} needs 1 to {MAX_QUEUES} queues"));
            }
        }
        Ok(())
    }

    /// How connections are encrypted, if they may be.
    ///
    /// # Errors
    /// What is wrong with the certificate or the key.
    pub(crate) fn encryption(&self) -> Result<Option<Encryption>, BrokerError> {
        let encryption = match &self.certificate {
            Some(certificate) => Encryption::new(certificate, self.tls_only).map(Some),
            None if self.tls_only => Err("tls_only needs a certificate".to_owned()),
            None => Ok(None),
        };
        encryption.map_err(BrokerError::Setting)
    }

    /// When producers are asked about half messages.
    pub(crate) fn timing(&self) -> Timing {
        let ms = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX).max(1);
        Timing {
            // Sums of times must fit.
            first_ms: ms(self.transaction_timeout).min(LIFE_MS),
            again_ms: ms(self.transaction_check_interval).min(LIFE_MS),
            most: self.transaction_check_max,
        }
    }

    /// Who the broker says it is, when it listens on `address`.
    pub(crate) fn identity(&self, address: SocketAddr) -> Identity {
        let host = match &self.advertise {
            Some(host) => host.clone(),
            None => address.ip().to_string(),
        };
        // Stored messages and their ids have an address, not a name.
        let ip: Ipv4Addr = host.parse().unwrap_or(Ipv4Addr::LOCALHOST);
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        Identity {
            cluster: CLUSTER.to_owned(),
            broker: self.broker_name.clone(),
            address: format!("{host}:{}", address.port()),
            store_host: SocketAddr::from((ip, address.port())),
            auto_create_queues: self.auto_create_topics.then_some(self.default_topic_queues as u16),
        }
    }
}

/// Says what is wrong with a host to advertise, if anything is.
fn check_host(host: &str) -> Result<(), String> {
    let ip = host.parse::<IpAddr>().ok();
    if ip.is_some_and(|ip| ip.is_unspecified()) {
        return Err(format!(
            "clients cannot connect to {host}; advertise an address of the machine"
        ));
    }
    let is_part_of_names = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if ip.is_some() || (!host.is_empty() && host.chars().all(is_part_of_names)) {
        return Ok(());
    }
    Err(format!(
        "`{host}` cannot be advertised: write a host or an address, without scheme and port"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_advertised_is_a_host_that_can_be_connected_to() {
        for host in ["broker", "broker-1.example.com", "my_host", "10.0.0.7", "::1", "fd00::7"] {
            assert_eq!(check_host(host), Ok(()), "{host}");
        }
        for host in ["", " ", "0.0.0.0", "::", "host:10911", "10.0.0.7:1", "http://host", "a b"] {
            assert!(check_host(host).is_err(), "{host}");
        }
    }
}
