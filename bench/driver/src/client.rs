//! The clients, and how each is set up.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A client, as it is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Client {
    pub(crate) kind: Kind,
    /// Whether its runtime has one worker thread.
    pub(crate) one_thread: bool,
    pub(crate) batching: Batching,
    /// Whether as many one-way messages as callers like may be on their way.
    pub(crate) oneway_unlimited: bool,
}

/// Whether a client makes batches of single sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Batching {
    /// As its kind does by default.
    Usual,
    Off,
    On,
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Posthaste,
    /// The best of other Rust clients.
    RocketmqClientRust,
    /// The official client of this version.
    Java550,
    /// The official client of this version.
    Java470,
    /// The official client v2.1.2.
    Go,
    /// The floor: requests of this many messages, made beforehand.
    Bare(usize),
    /// The floor of callers that are tasks of a runtime.
    BareCallers,
    /// The same with messages that are whole.
    LeastProducer,
}

/// With its defaults.
pub(crate) const POSTHASTE: Client = Client::usual(Kind::Posthaste);
pub(crate) const POSTHASTE_UNBATCHED: Client = POSTHASTE.unbatched();
pub(crate) const POSTHASTE_UNLIMITED: Client = Client { oneway_unlimited: true, ..POSTHASTE };
pub(crate) const JAVA_550: Client = Client::usual(Kind::Java550);
pub(crate) const JAVA_550_AUTO_BATCH: Client = Client { batching: Batching::On, ..JAVA_550 };
pub(crate) const JAVA_470: Client = Client::usual(Kind::Java470);
pub(crate) const GO: Client = Client::usual(Kind::Go);
pub(crate) const ROCKETMQ_CLIENT_RUST: Client = Client::usual(Kind::RocketmqClientRust);
pub(crate) const BARE_CALLERS: Client = Client::usual(Kind::BareCallers);
pub(crate) const LEAST_PRODUCER: Client = Client::usual(Kind::LeastProducer);

/// The bare loop, with requests of this many messages.
pub(crate) const fn bare(batch: usize) -> Client {
    Client::usual(Kind::Bare(batch))
}

impl Client {
    const fn usual(kind: Kind) -> Self {
        Self { kind, one_thread: false, batching: Batching::Usual, oneway_unlimited: false }
    }

    /// The same with batching off.
    pub(crate) const fn unbatched(self) -> Self {
        Self { batching: Batching::Off, ..self }
    }

    /// The same on a runtime with one worker thread.
    pub(crate) const fn one_thread(self) -> Self {
        Self { one_thread: true, ..self }
    }

    /// Whether users might choose it instead of Posthaste.
    pub(crate) fn is_rival(self) -> bool {
        matches!(self.kind, Kind::RocketmqClientRust | Kind::Java550 | Kind::Java470 | Kind::Go)
    }

    pub(crate) fn is_java(self) -> bool {
        self.java_version().is_some()
    }

    /// The version of the jars that it needs.
    pub(crate) fn java_version(self) -> Option<&'static str> {
        match self.kind {
            Kind::Java550 => Some("5.5.0"),
            Kind::Java470 => Some("4.7.0"),
            _ => None,
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Posthaste => f.write_str("Posthaste")?,
            Kind::RocketmqClientRust => f.write_str("rocketmq-client-rust 1.0")?,
            Kind::Java550 => f.write_str("Java 5.5.0")?,
            Kind::Java470 => f.write_str("Java 4.7.0")?,
            Kind::Go => f.write_str("Go 2.1.2")?,
            Kind::Bare(1) => f.write_str("bare loop")?,
            Kind::Bare(batch) => write!(f, "bare loop, {batch}s")?,
            Kind::BareCallers => f.write_str("bare callers")?,
            Kind::LeastProducer => f.write_str("least producer")?,
        }
        for (is_so, text) in [
            (self.one_thread, ", one thread"),
            (self.batching == Batching::Off, ", batching off"),
            (self.oneway_unlimited, ", one-way unlimited"),
            (self.batching == Batching::On, ", auto-batching"),
        ] {
            f.write_str(if is_so { text } else { "" })?;
        }
        Ok(())
    }
}
