//! Spans around sends, with names and types as OpenTelemetry's conventions for RocketMQ have them
//! (of version 1.44). They are at the level *debug*: while no subscriber listens there, a send pays
//! for one check.
//!
//! Numbers are `i64`, which is all the numbers that OpenTelemetry has: others would be texts there.

use std::sync::Arc;

use tracing::field::display;
use tracing::{Instrument as _, Span};

use crate::accepted::End;
use crate::net::address::host_and_port;
use crate::{Message, MessageQueue, Receipt, SendError};

/// The span of one send; nothing while no subscriber listens. Boxed, because it is moved about with
/// the send.
#[derive(Debug)]
pub(crate) struct SendSpan(Option<Box<Span>>);

/// The span of a send that is named like the verb; the macro, since a span's name is part of the
/// program.
macro_rules! send_span {
    ($verb:literal, $client:expr, $message:expr, $count:expr) => {
        $crate::observers::span::SendSpan::of($message, tracing::debug_span!(
            $verb,
            otel.name = %format_args!("{} {}", $verb, $message.topic()),
            otel.kind = "producer",
            otel.status_code = tracing::field::Empty,
            messaging.system = "rocketmq",
            messaging.operation.name = $verb,
            messaging.operation.type = "send",
            messaging.destination.name = $message.topic(),
            messaging.destination.partition.id = tracing::field::Empty,
            messaging.client.id = $client.ledger.id(),
            messaging.batch.message_count = $crate::observers::span::batch_count($count),
            messaging.message.id = tracing::field::Empty,
            messaging.message.body.size = $crate::observers::span::body_size($message, $count),
            messaging.rocketmq.namespace = $client.ledger.config().namespace.as_ref().map(|one| one.as_str()),
            messaging.rocketmq.message.type = $message.kind(),
            messaging.rocketmq.message.tag = $message.tag_text(),
            messaging.rocketmq.message.keys = $crate::observers::span::keys($message),
            messaging.rocketmq.message.group = $message.ordering_key(),
            messaging.rocketmq.message.delay_time_level = $message.level_of_delay(),
            messaging.rocketmq.message.delivery_timestamp = $message.delivered_at_ms(),
            posthaste.producer_group = &*$client.ledger.config().own_group,
            server.address = tracing::field::Empty,
            server.port = tracing::field::Empty,
            outcome = tracing::field::Empty,
            error.type = tracing::field::Empty,
        ))
    };
}
pub(crate) use send_span;

/// The number of messages of a batch.
pub(crate) fn batch_count(count: usize) -> Option<i64> {
    (count > 1).then_some(count as i64)
}

/// Bytes of the body of a message that is not in a batch.
pub(crate) fn body_size(message: &Message, count: usize) -> Option<i64> {
    (count == 1).then_some(message.body().len() as i64)
}

/// The keys as they travel. To OpenTelemetry they are a list, which fields of spans cannot be: with
/// its feature that is set instead.
pub(crate) fn keys(message: &Message) -> Option<String> {
    let keys = message.key_texts();
    (!cfg!(feature = "opentelemetry") && !keys.is_empty()).then(|| keys.join(" "))
}

#[cfg(feature = "opentelemetry")]
fn set_keys(span: &Span, message: &Message) {
    use opentelemetry::{Array, StringValue, Value};
    use tracing_opentelemetry::OpenTelemetrySpanExt as _;

    let keys = message.key_texts();
    if !keys.is_empty() {
        let keys: Vec<StringValue> = keys.iter().cloned().map(StringValue::from).collect();
        let keys = Value::Array(Array::String(keys));
        span.set_attribute("messaging.rocketmq.message.keys", keys);
    }
}

/// Gives the address of the broker that has a queue, if that is known.
pub(crate) type AddressOf<'a> = dyn Fn(&MessageQueue) -> Option<Arc<str>> + 'a;

impl SendSpan {
    #[inline]
    pub(crate) fn of(message: &Message, span: Span) -> Self {
        if span.is_disabled() {
            return Self(None);
        }
        #[cfg(feature = "opentelemetry")]
        set_keys(&span, message);
        #[cfg(not(feature = "opentelemetry"))]
        let _ = message;
        Self(Some(Box::new(span)))
    }

    pub(crate) fn none() -> Self {
        Self(None)
    }

    #[inline]
    pub(crate) fn is_none(&self) -> bool {
        self.0.is_none()
    }

    /// Does something inside of the span.
    #[inline]
    pub(crate) fn in_scope<T>(&self, f: impl FnOnce() -> T) -> T {
        match &self.0 {
            None => f(),
            Some(span) => span.in_scope(f),
        }
    }

    /// Awaits something inside of the span.
    pub(crate) async fn instrument<F: Future>(&self, future: F) -> F::Output {
        match &self.0 {
            None => future.await,
            Some(span) => future.instrument(Span::clone(span)).await,
        }
    }

    /// The send has ended; `address_of` gives the address of a queue's broker.
    #[inline]
    pub(crate) fn record(&self, end: &End, address_of: &AddressOf<'_>) {
        if let Some(span) = &self.0 {
            ended(span, end, address_of);
        }
    }

    /// The send has failed, perhaps before it was accepted.
    pub(crate) fn record_failed(&self, error: &SendError) {
        if let Some(span) = &self.0 {
            failed(span, error);
        }
    }
}

#[cold]
fn ended(span: &Span, end: &End, address_of: &AddressOf<'_>) {
    match end {
        End::Stored(receipt) => stored(span, receipt, address_of),
        End::BatchStored(receipts) => {
            if let Some(first) = receipts.first() {
                stored_in(span, first.queue(), address_of);
            }
        }
        End::Written => drop(span.record("outcome", "oneway")),
        End::Failed(error) => failed(span, error),
    }
}

fn stored(span: &Span, receipt: &Receipt, address_of: &AddressOf<'_>) {
    span.record("messaging.message.id", receipt.message_id());
    stored_in(span, receipt.queue(), address_of);
}

fn stored_in(span: &Span, queue: &MessageQueue, address_of: &AddressOf<'_>) {
    span.record("messaging.destination.partition.id", queue.id().to_string());
    span.record("outcome", "acked");
    if let Some(address) = address_of(queue) {
        server(span, &address);
    }
}

fn failed(span: &Span, error: &SendError) {
    span.record("outcome", display(error.outcome()));
    span.record("error.type", error.kind().as_str());
    span.record("otel.status_code", "ERROR");
    if let Some(last) = error.attempts().last() {
        server(span, &last.address);
    }
}

/// The broker that was sent to.
fn server(span: &Span, address: &str) {
    let (host, port) = host_and_port(address);
    span.record("server.address", host);
    span.record("server.port", port.map(i64::from));
}
