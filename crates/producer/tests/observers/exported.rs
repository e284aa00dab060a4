//! Spans as an OpenTelemetry exporter gets them: names and types of the attributes.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanKind, Status, TracerProvider as _};
use opentelemetry::{Array, Value};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use posthaste::{Message, Producer, ProducerBuilder};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::Layer as _;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::fake::{Action, Broker, NameServer, producer, soon};

/// A real tracer of OpenTelemetry, whose spans this test gets.
struct Exported {
    exporter: InMemorySpanExporter,
    _provider: SdkTracerProvider,
    _listening: DefaultGuard,
}

impl Exported {
    fn listen() -> Self {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let subscriber = tracing_subscriber::registry().with(layer.with_filter(LevelFilter::DEBUG));
        let _listening = tracing::subscriber::set_default(subscriber);
        Self { exporter, _provider: provider, _listening }
    }

    /// The span of the only send since the last look.
    fn take_one(&self) -> SpanData {
        let all = self.exporter.get_finished_spans().unwrap();
        self.exporter.reset();
        let mut sends: Vec<_> =
            all.into_iter().filter(|span| span.span_kind == SpanKind::Producer).collect();
        assert_eq!(sends.len(), 1, "{sends:?}");
        sends.remove(0)
    }
}

fn attributes(span: &SpanData) -> BTreeMap<String, Value> {
    let named = span.attributes.iter().map(|one| (one.key.to_string(), one.value.clone()));
    let attributes: BTreeMap<_, _> = named.collect();
    assert_eq!(attributes.len(), span.attributes.len(), "one is there twice: {span:?}");
    attributes
}

fn text(text: impl Into<String>) -> Value {
    Value::String(text.into().into())
}

#[track_caller]
fn assert_has(found: &BTreeMap<String, Value>, expected: &[(&str, Value)]) {
    for (name, value) in expected {
        assert_eq!(found.get(*name), Some(value), "{name} of {found:#?}");
    }
}

async fn with(build: impl FnOnce(ProducerBuilder) -> ProducerBuilder) -> (Broker, Producer) {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 1).await;
    let producer = build(producer(&[&server])).start().await.unwrap();
    (broker, producer)
}

fn port_of(broker: &Broker) -> i64 {
    broker.address().rsplit_once(':').unwrap().1.parse().unwrap()
}

#[tokio::test]
async fn attributes_have_the_names_and_types_of_the_conventions() {
    let exported = Exported::listen();
    let (broker, producer) = with(|builder| builder.namespace("shop")).await;
    let message = Message::new("t", "123").tag("red").key("k1").key("k2").order_by("o");
    let receipt = soon(producer.send(message)).await.unwrap();
    let span = exported.take_one();
    assert_eq!((&*span.name, &span.status), ("send t", &Status::Unset));
    let found = attributes(&span);
    assert_has(
        &found,
        &[
            ("messaging.system", text("rocketmq")),
            ("messaging.operation.name", text("send")),
            ("messaging.operation.type", text("send")),
            ("messaging.destination.name", text("t")),
            ("messaging.destination.partition.id", text("0")),
            ("messaging.message.id", text(receipt.message_id())),
            ("messaging.message.body.size", Value::I64(3)),
            ("messaging.rocketmq.namespace", text("shop")),
            ("messaging.rocketmq.message.type", text("fifo")),
            ("messaging.rocketmq.message.tag", text("red")),
            ("messaging.rocketmq.message.group", text("o")),
            ("server.address", text("127.0.0.1")),
            ("server.port", Value::I64(port_of(&broker))),
            ("posthaste.producer_group", text("faults")),
            ("outcome", text("acked")),
        ],
    );
    assert!(matches!(found.get("messaging.client.id"), Some(Value::String(_))));
    let keys = match cfg!(feature = "opentelemetry") {
        true => Value::Array(Array::String(vec!["k1".into(), "k2".into()])),
        false => text("k1 k2"),
    };
    assert_has(&found, &[("messaging.rocketmq.message.keys", keys)]);
    for absent in ["messaging.rocketmq.client_group", "messaging.batch.message_count", "error.type"]
    {
        assert!(!found.contains_key(absent), "{absent} of {found:#?}");
    }
}

#[tokio::test]
async fn a_batch_is_counted_and_has_no_body_of_its_own() {
    let exported = Exported::listen();
    let (broker, producer) = with(|builder| builder).await;
    soon(producer.send_batch([Message::new("t", "a"), Message::new("t", "b")])).await.unwrap();
    let found = attributes(&exported.take_one());
    assert_has(
        &found,
        &[
            ("messaging.batch.message_count", Value::I64(2)),
            ("messaging.destination.partition.id", text("0")),
            ("messaging.rocketmq.message.type", text("normal")),
            ("server.port", Value::I64(port_of(&broker))),
        ],
    );
    for absent in ["messaging.message.body.size", "messaging.message.id"] {
        assert!(!found.contains_key(absent), "{absent} of {found:#?}");
    }
}

#[tokio::test]
async fn delays_say_when() {
    let exported = Exported::listen();
    let (_broker, producer) = with(|builder| builder).await;
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
    let kind = ("messaging.rocketmq.message.type", text("delay"));
    soon(producer.send(Message::new("t", "x").delay_level(3))).await.unwrap();
    let level = ("messaging.rocketmq.message.delay_time_level", Value::I64(3));
    assert_has(&attributes(&exported.take_one()), &[kind.clone(), level]);
    soon(producer.send(Message::new("t", "x").deliver_at(at))).await.unwrap();
    let time = Value::I64(1_700_000_000_123);
    let time = ("messaging.rocketmq.message.delivery_timestamp", time);
    assert_has(&attributes(&exported.take_one()), &[kind, time]);
}

#[tokio::test]
async fn a_failure_says_its_kind_and_where() {
    let exported = Exported::listen();
    let (broker, producer) = with(|builder| builder).await;
    broker.always(Action::refuse(13, "illegal"));
    let error = soon(producer.send(Message::new("t", "x"))).await.unwrap_err();
    let span = exported.take_one();
    assert!(matches!(span.status, Status::Error { .. }), "{:?}", span.status);
    assert_has(
        &attributes(&span),
        &[
            ("error.type", text(error.kind().as_str())),
            ("outcome", text("not_stored")),
            ("server.address", text("127.0.0.1")),
            ("server.port", Value::I64(port_of(&broker))),
        ],
    );
}
