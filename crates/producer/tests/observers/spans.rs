//! Spans around sends, and what is recorded in them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use posthaste::Message;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use crate::fake::{Action, lock, soon};
use crate::one;

/// Spans that have ended, with their fields.
#[derive(Clone, Default)]
struct Ended(Arc<Mutex<Vec<Fields>>>);

/// The fields of a span; its name among them.
#[derive(Clone, Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

impl<S: tracing::Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Ended {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        fields.0.insert("name", attributes.metadata().name().to_owned());
        attributes.record(&mut fields);
        context.span(id).unwrap().extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        values.record(context.span(id).unwrap().extensions_mut().get_mut::<Fields>().unwrap());
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let fields = context.span(&id).unwrap().extensions_mut().remove::<Fields>().unwrap();
        if fields.0["name"] != "connection" {
            lock(&self.0).push(fields);
        }
    }
}

impl Ended {
    /// Notes the spans of this thread, as long as the guard lives.
    fn listen() -> (Self, DefaultGuard) {
        let ended = Self::default();
        let layer = ended.clone().with_filter(LevelFilter::DEBUG);
        let subscriber = tracing_subscriber::registry().with(layer);
        (ended, tracing::subscriber::set_default(subscriber))
    }

    /// The one that has ended since the last look.
    #[track_caller]
    fn take_one(&self) -> BTreeMap<&'static str, String> {
        let mut all = std::mem::take(&mut *lock(&self.0));
        assert_eq!(all.len(), 1, "{:?}", all.iter().map(|one| &one.0).collect::<Vec<_>>());
        all.remove(0).0
    }
}

#[track_caller]
fn assert_fields(found: &BTreeMap<&'static str, String>, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(found.get(name).map(String::as_str), Some(*value), "{name} of {found:?}");
    }
}

#[tokio::test]
async fn a_send_says_what_it_sends_and_how_it_ended() {
    let (ended, _listening) = Ended::listen();
    let (broker, _server, producer) = one().await;
    let message = Message::new("t", "123").tag("red").key("k1").key("k2").order_by("o");
    let receipt = soon(producer.send(message)).await.unwrap();
    let span = ended.take_one();
    assert_fields(
        &span,
        &[
            ("name", "send"),
            ("otel.name", "send t"),
            ("otel.kind", "producer"),
            ("messaging.system", "rocketmq"),
            ("messaging.operation.name", "send"),
            ("messaging.operation.type", "send"),
            ("messaging.destination.name", "t"),
            ("messaging.destination.partition.id", "0"),
            ("messaging.message.id", receipt.message_id()),
            ("messaging.message.body.size", "3"),
            ("posthaste.producer_group", "faults"),
            ("messaging.rocketmq.message.type", "fifo"),
            ("messaging.rocketmq.message.tag", "red"),
            ("messaging.rocketmq.message.group", "o"),
            ("outcome", "acked"),
        ],
    );
    let keys = span.get("messaging.rocketmq.message.keys").map(String::as_str);
    // With the other feature they are a list, which is none of the fields.
    assert_eq!(keys, (!cfg!(feature = "opentelemetry")).then_some("k1 k2"));
    assert!(span["messaging.client.id"].contains('@'));
    assert!(
        !span.contains_key("error.type") && !span.contains_key("messaging.batch.message_count")
    );
    broker.always(Action::refuse(13, "illegal"));
    soon(producer.send(Message::new("t", "x"))).await.unwrap_err();
    let span = ended.take_one();
    let failed =
        [("outcome", "not_stored"), ("error.type", "invalid"), ("otel.status_code", "ERROR")];
    assert_fields(&span, &failed);
    assert!(!span.contains_key("messaging.rocketmq.message.tag"), "{span:?}");
}

#[tokio::test]
async fn each_verb_has_a_span_of_its_name() {
    let (ended, _listening) = Ended::listen();
    let (_broker, _server, producer) = one().await;
    let message = || Message::new("t", "x");
    soon(producer.send_oneway(message())).await.unwrap();
    assert_fields(&ended.take_one(), &[("name", "send_oneway"), ("outcome", "oneway")]);
    soon(producer.send_batch([message(), message()])).await.unwrap();
    let expected =
        [("name", "send_batch"), ("messaging.batch.message_count", "2"), ("outcome", "acked")];
    assert_fields(&ended.take_one(), &expected);
    // The span of a delivery ends with it.
    let delivery = producer.enqueue(message()).await.unwrap();
    let id = delivery.message_id();
    assert!(lock(&ended.0).is_empty());
    soon(delivery).await.unwrap();
    let expected = [("name", "enqueue"), ("messaging.message.id", &*id), ("outcome", "acked")];
    assert_fields(&ended.take_one(), &expected);
    drop(producer.try_enqueue(message()).unwrap());
    let span = ended.take_one();
    assert_fields(&span, &[("name", "try_enqueue")]);
    assert!(!span.contains_key("outcome"), "nobody was told: {span:?}");
}

#[tokio::test]
async fn what_is_not_even_accepted_has_its_span_too() {
    let (ended, _listening) = Ended::listen();
    let (_broker, _server, producer) = one().await;
    soon(producer.send(Message::new("a/b", "x"))).await.unwrap_err();
    let failed = [("name", "send"), ("outcome", "not_stored"), ("error.type", "invalid")];
    assert_fields(&ended.take_one(), &failed);
    soon(producer.close(crate::fake::HANG)).await;
    soon(producer.enqueue(Message::new("t", "x"))).await.unwrap_err();
    assert_fields(&ended.take_one(), &[("name", "enqueue"), ("error.type", "closed")]);
}

#[tokio::test]
async fn a_callback_runs_in_the_span_of_its_send() {
    let (ended, _listening) = Ended::listen();
    let (_broker, _server, producer) = one().await;
    let (told, telling) = tokio::sync::oneshot::channel();
    let delivery = producer.enqueue(Message::new("t", "x")).await.unwrap();
    delivery.on_complete(move |result| told.send(result.is_ok()).unwrap());
    assert!(soon(telling).await.unwrap());
    crate::fake::until("the span has ended", || !lock(&ended.0).is_empty()).await;
    assert_fields(&ended.take_one(), &[("name", "enqueue"), ("outcome", "acked")]);
}
