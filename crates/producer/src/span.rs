//! Spans around sends, named as OpenTelemetry's conventions for messaging have it. They are at the
//! level *debug*: while nobody listens there, a send pays a look at that.

use tracing::field::display;
use tracing::{Instrument as _, Span};

use crate::accepted::End;
use crate::{Message, Receipt, SendError};

/// The span of one send; nothing while nobody listens. In memory of its own, since it is moved about
/// with the send.
#[derive(Debug)]
pub(crate) struct SendSpan(Option<Box<Span>>);

/// The span of a send that is named like the verb; the macro, since a span's name is part of the
/// program.
macro_rules! send_span {
    ($verb:literal, $client:expr, $message:expr, $count:expr) => {
        $crate::span::SendSpan::of(tracing::debug_span!(
            $verb,
            otel.name = %format_args!("{} {}", $verb, $message.topic()),
            otel.kind = "producer",
            otel.status_code = tracing::field::Empty,
            messaging.system = "rocketmq",
            messaging.operation.name = $verb,
            messaging.operation.type = "send",
            messaging.destination.name = $message.topic(),
            messaging.destination.partition.id = tracing::field::Empty,
            messaging.client.id = $client.id(),
            messaging.batch.message_count = $crate::span::batch_count($count),
            messaging.message.id = tracing::field::Empty,
            messaging.message.body.size = $crate::span::body_size($message, $count),
            messaging.rocketmq.client_group = &*$client.config().own_group,
            messaging.rocketmq.message.tag = $message.tag_text(),
            messaging.rocketmq.message.keys = $crate::span::keys($message),
            messaging.rocketmq.message.group = $message.ordering_key(),
            outcome = tracing::field::Empty,
            error.type = tracing::field::Empty,
        ))
    };
}
pub(crate) use send_span;

/// The number of messages of a batch.
pub(crate) fn batch_count(count: usize) -> Option<u64> {
    (count > 1).then_some(count as u64)
}

/// Bytes of the body of a message that is not in a batch.
pub(crate) fn body_size(message: &Message, count: usize) -> Option<u64> {
    (count == 1).then_some(message.body().len() as u64)
}

/// The keys as they travel.
pub(crate) fn keys(message: &Message) -> Option<String> {
    let keys = message.key_texts();
    (!keys.is_empty()).then(|| keys.join(" "))
}

impl SendSpan {
    #[inline]
    pub(crate) fn of(span: Span) -> Self {
        Self((!span.is_disabled()).then(|| Box::new(span)))
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

    /// The send has ended.
    #[inline]
    pub(crate) fn record(&self, end: &End) {
        if let Some(span) = &self.0 {
            ended(span, end);
        }
    }

    /// The send has ended with this result.
    pub(crate) fn record_result(&self, result: &Result<Receipt, SendError>) {
        match (&self.0, result) {
            (None, _) => {}
            (Some(span), Ok(receipt)) => stored(span, receipt),
            (Some(span), Err(error)) => failed(span, error),
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
fn ended(span: &Span, end: &End) {
    match end {
        End::Stored(receipt) => stored(span, receipt),
        End::BatchStored(receipts) => {
            let queue = receipts.first().map(|first| first.queue().id());
            span.record("messaging.destination.partition.id", queue);
            span.record("outcome", "acked");
        }
        End::Written => drop(span.record("outcome", "oneway")),
        End::Failed(error) => failed(span, error),
    }
}

fn stored(span: &Span, receipt: &Receipt) {
    span.record("messaging.message.id", receipt.message_id());
    span.record("messaging.destination.partition.id", receipt.queue().id());
    span.record("outcome", "acked");
}

fn failed(span: &Span, error: &SendError) {
    span.record("outcome", display(error.outcome()));
    span.record("error.type", error.kind().word());
    span.record("otel.status_code", "ERROR");
}
