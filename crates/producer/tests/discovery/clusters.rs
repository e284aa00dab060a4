//! Several producers in one process.

use std::time::Duration;

use posthaste::{Message, Producer, ReadFrom};
use posthaste_broker::Broker;

use crate::fake::soon;

/// Same group, same instance name, same topic, same names of brokers: but two clusters.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_clusters_never_interfere() {
    let mut sides = Vec::new();
    for side in ["one", "two"] {
        let broker = Broker::builder().start().await.unwrap();
        let producer = Producer::builder("same-group", broker.name_server().to_string())
            .instance_name("same-name")
            .send_timeout(Duration::from_secs(15))
            .start()
            .await
            .unwrap();
        sides.push((side, broker, producer));
    }
    let mut tasks = tokio::task::JoinSet::new();
    for (side, _, producer) in &sides {
        for n in 0..200 {
            let message = Message::new("same-topic", format!("{side} {n}"));
            let message = if n % 2 == 0 { message.order_by("same-key") } else { message };
            let producer = producer.clone();
            tasks.spawn(async move { producer.send(message).await.unwrap() });
        }
    }
    while let Some(sent) = soon(tasks.join_next()).await {
        sent.unwrap();
    }
    for (side, broker, producer) in &sides {
        assert_eq!(broker.stats().messages, 200, "{side}");
        let reader = producer.admin().reader("same-topic").from(ReadFrom::Start).until_now();
        let mut reader = soon(reader.open()).await.unwrap();
        while let Some(message) = soon(reader.next()).await.unwrap() {
            let text = String::from_utf8(message.body().to_vec()).unwrap();
            assert!(text.starts_with(side), "{text} in the cluster of {side}");
        }
        assert_eq!(producer.stats().acked, 200);
        assert_eq!(producer.stats().brokers.len(), 1);
    }
    // The end of one is nothing to the other.
    let (_, one, producer) = sides.remove(0);
    assert!(soon(producer.close(Duration::from_secs(5))).await.is_clean());
    soon(one.stop()).await;
    soon(sides[0].2.send(Message::new("same-topic", "two, still"))).await.unwrap();
}
