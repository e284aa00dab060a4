//! The ways on which a send comes in, each with a broker and a producer of its own.

use std::time::Duration;

use posthaste::{Batch, Message, Producer, SendError, SendStatus, Tls};
use posthaste_broker::{Broker, Fault, FaultRule};

use crate::pki;
use crate::support::{HANG, until};

/// How a message is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// By itself, unlike the send before it on the connection: the broker reads it in full.
    Single,
    /// By itself, like the send before it: the broker compares it with that.
    Templated,
    /// Three in a batch.
    Batch,
}

pub(crate) const WAYS: [Way; 3] = [Way::Single, Way::Templated, Way::Batch];

/// A broker, and a producer that has a connection to it.
pub(crate) struct Stage {
    pub(crate) broker: Broker,
    pub(crate) producer: Producer,
    way: Way,
    before: u64,
}

impl Stage {
    /// With one send to "orders" behind it, and no retries.
    pub(crate) async fn set(way: Way, tls: bool, retries: u32) -> Self {
        let certificate = pki::self_signed(&["127.0.0.1"]);
        let mut broker = Broker::builder().topic("orders", 1);
        if tls {
            broker = broker.tls(certificate.chain.clone(), certificate.key).tls_only();
        }
        let broker = broker.start().await.unwrap();
        let mut producer = Producer::builder("rules", broker.name_server().to_string())
            .send_timeout(HANG)
            .retries(retries)
            .async_retries(retries);
        if tls {
            producer = producer.tls(Tls::new().ca_pem(certificate.chain));
        }
        let producer = producer.start().await.unwrap();
        match way {
            Way::Single => drop(producer.send_batch(batch()).await.unwrap()),
            Way::Templated | Way::Batch => drop(producer.send(message()).await.unwrap()),
        }
        let before = broker.stats().messages;
        Self { broker, producer, way, before }
    }

    pub(crate) fn fault(&self, fault: Fault) -> FaultRule {
        self.broker.fault(fault).unwrap()
    }

    /// Sends on this way.
    pub(crate) async fn send(&self) -> Result<Vec<SendStatus>, SendError> {
        self.send_within(HANG).await
    }

    pub(crate) async fn send_within(&self, time: Duration) -> Result<Vec<SendStatus>, SendError> {
        let producer = self.producer.with_timeout(time);
        let receipts = match self.way {
            Way::Batch => producer.send_batch(batch()).await?,
            _ => vec![producer.send(message()).await?],
        };
        Ok(receipts.iter().map(|receipt| receipt.status()).collect())
    }

    /// How many messages one send has.
    pub(crate) fn messages(&self) -> u64 {
        if self.way == Way::Batch { 3 } else { 1 }
    }

    /// How many messages were stored since the stage was set.
    pub(crate) fn stored(&self) -> u64 {
        self.broker.stats().messages - self.before
    }

    /// Waits until so many messages were stored.
    pub(crate) async fn until_stored(&self, messages: u64) {
        until("they are stored", || self.stored() == messages).await;
    }
}

pub(crate) fn message() -> Message {
    Message::new("orders", "body").key("k1").tag("new")
}

fn batch() -> Batch {
    let plain = || Message::new("orders", "body");
    Batch::from(vec![plain(), message(), plain()])
}
