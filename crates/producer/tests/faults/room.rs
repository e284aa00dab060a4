//! The bound on what is on its way.

use posthaste::{ErrorKind, Message, Producer};

use crate::fake::{Action, Broker, NameServer, assert_all_ended, poll_once, producer, soon};

async fn bounded(messages: usize, bytes: usize) -> (Broker, NameServer, Producer) {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 4).await;
    let producer = producer(&[&server]).max_pending(messages, bytes).start().await.unwrap();
    (broker, server, producer)
}

fn message(bytes: usize) -> Message {
    Message::new("t", vec![b'x'; bytes])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_count_too() {
    let (broker, _server, producer) = bounded(1000, 100_000).await;
    broker.always(Action::ok().at_the_gate());
    let first = producer.try_enqueue(message(60_000)).unwrap();
    let full = producer.try_enqueue(message(60_000)).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::BufferFull);
    // One that waits for bytes has its turn before smaller ones.
    let mut large = Box::pin(producer.enqueue(message(60_000)));
    assert!(poll_once(large.as_mut()).is_none());
    assert_eq!(producer.try_enqueue(message(10)).unwrap_err().kind(), ErrorKind::BufferFull);
    broker.open_gate(1);
    soon(first).await.unwrap();
    let second = soon(large).await.unwrap();
    broker.open_gate(1);
    // Larger than the whole bound: it goes alone.
    let whole = soon(producer.enqueue(message(500_000))).await.unwrap();
    soon(second).await.unwrap();
    assert_eq!(producer.try_enqueue(message(1)).unwrap_err().kind(), ErrorKind::BufferFull);
    broker.open_gate(2);
    soon(whole).await.unwrap();
    soon(producer.send(message(1))).await.unwrap();
    assert_all_ended(&producer);
}
