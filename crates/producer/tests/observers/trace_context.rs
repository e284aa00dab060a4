//! The trace of the current span travels with a message (feature `opentelemetry`).

use opentelemetry::trace::noop::NoopTracer;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use posthaste::{Interceptor, Message, SendAttempt};
use tracing::Instrument as _;
use tracing::subscriber::DefaultGuard;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::fake::{Broker, NameServer, producer, soon};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Spans of this thread have a trace, as long as the guard lives. The tracer makes no new spans:
/// each has the context of its parent.
fn trace() -> DefaultGuard {
    let layer = tracing_opentelemetry::layer().with_tracer(NoopTracer::new());
    tracing::subscriber::set_default(tracing_subscriber::registry().with(layer))
}

/// A span that goes on with a trace from elsewhere.
fn span() -> tracing::Span {
    let span = tracing::info_span!("request");
    let remote = SpanContext::new(
        TraceId::from_hex(TRACE).unwrap(),
        SpanId::from_hex("b7ad6b7169203331").unwrap(),
        TraceFlags::SAMPLED,
        true,
        TraceState::from_key_value([("vendor", "1")]).unwrap(),
    );
    let context = opentelemetry::Context::new().with_remote_span_context(remote);
    span.set_parent(context).unwrap();
    span
}

#[tokio::test]
async fn a_message_takes_the_trace_of_its_send_along() {
    let _tracing = trace();
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 1).await;
    let producer = producer(&[&server]).start().await.unwrap();
    let message = || Message::new("t", "x");
    soon(producer.send(message()).instrument(span())).await.unwrap();
    let delivery = span().in_scope(|| producer.try_enqueue(message())).unwrap();
    soon(delivery).await.unwrap();
    let own = message().property("traceparent", "00-own");
    soon(producer.send_batch([message(), own]).instrument(span())).await.unwrap();
    soon(producer.send(message())).await.unwrap();
    let seen = broker.seen();
    let parents: Vec<Vec<&str>> = seen.iter().map(|seen| seen.values("traceparent")).collect();
    assert_eq!(parents, [vec![PARENT], vec![PARENT], vec![PARENT], vec!["00-own"], vec![]]);
    let states: Vec<usize> = seen.iter().map(|seen| seen.values("tracestate").len()).collect();
    assert_eq!(states, [1, 1, 1, 0, 0]);
    assert_eq!(seen[0].values("tracestate"), ["vendor=1"]);
}

struct Adding;

impl Interceptor for Adding {
    fn before_attempt(&self, attempt: &mut SendAttempt<'_>) -> Result<(), String> {
        let parent = attempt.added_property("traceparent").unwrap_or("none").to_owned();
        attempt.set_property("seen", parent)
    }
}

/// Properties of interceptors stand beside it, and the caller gets the message back without either.
#[tokio::test]
async fn the_trace_is_not_the_message_s_own() {
    let _tracing = trace();
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 1).await;
    let producer = producer(&[&server]).interceptor(Adding).start().await.unwrap();
    broker.always(crate::fake::Action::refuse(13, "illegal"));
    let sent = producer.send(Message::new("t", "x").property("own", "1"));
    let error = soon(sent.instrument(span())).await.unwrap_err();
    let seen = &broker.seen()[0];
    assert_eq!((seen.values("traceparent"), seen.values("seen")), (vec![PARENT], vec![PARENT]));
    assert_eq!(error.into_message().properties().collect::<Vec<_>>(), [("own", "1")]);
}
