//! Spans around sends, named as OpenTelemetry's conventions for messaging have it. They are at the
//! level *debug*: while nobody listens there, a send pays a look at that.

use tracing::Span;

use crate::accepted::End;
use crate::{Receipt, SendError};

/// The span of a send that is named like the verb; the macro, since a span's name is part of the
/// program.
macro_rules! send_span {
    ($verb:literal, $client:expr, $message:expr, $count:expr) => {
        tracing::debug_span!(
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
            messaging.rocketmq.client_group = &*$client.config().group,
            messaging.rocketmq.message.tag = $message.tag_text(),
            messaging.rocketmq.message.keys = $crate::span::keys($message),
            messaging.rocketmq.message.group = $message.ordering_key(),
            outcome = tracing::field::Empty,
            error.type = tracing::field::Empty,
        )
    };
}
pub(crate) use send_span;

/// The number of messages of a batch.
pub(crate) fn batch_count(count: usize) -> Option<u64> {
    (count > 1).then_some(count as u64)
}

/// Bytes of the body of a message that is not in a batch.
pub(crate) fn body_size(message: &crate::Message, count: usize) -> Option<u64> {
    (count == 1).then_some(message.body().len() as u64)
}

/// The keys as they travel.
pub(crate) fn keys(message: &crate::Message) -> Option<String> {
    let keys = message.key_texts();
    (!keys.is_empty()).then(|| keys.join(" "))
}

/// The send has ended.
pub(crate) fn record(span: &Span, end: &End) {
    if span.is_disabled() {
        return;
    }
    match end {
        End::Stored(receipt) => record_stored(span, receipt),
        End::BatchStored(receipts) => {
            let queue = receipts.first().map(|first| first.queue().id());
            span.record("messaging.destination.partition.id", queue);
            span.record("outcome", "acked");
        }
        End::Written => drop(span.record("outcome", "oneway")),
        End::Failed(error) => record_failed(span, error),
    }
}

/// As [`record`], of the result that a caller gets.
pub(crate) fn record_result(span: &Span, result: &Result<Receipt, SendError>) {
    if span.is_disabled() {
        return;
    }
    match result {
        Ok(receipt) => record_stored(span, receipt),
        Err(error) => record_failed(span, error),
    }
}

fn record_stored(span: &Span, receipt: &Receipt) {
    span.record("messaging.message.id", receipt.message_id());
    span.record("messaging.destination.partition.id", receipt.queue().id());
    span.record("outcome", "acked");
}

/// The send has failed, perhaps before it was accepted.
pub(crate) fn record_failed(span: &Span, error: &SendError) {
    if span.is_disabled() {
        return;
    }
    span.record("outcome", tracing::field::display(error.outcome()));
    span.record("error.type", error.kind().word());
    span.record("otel.status_code", "ERROR");
}
