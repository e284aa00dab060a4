//! A burst: everything at once, to a producer and a broker that have just started.

use std::time::Instant;

use anyhow::Result;
use bench_session::{Latencies, Tally};

use crate::workload::Workload;

/// Hands over all messages as fast as the producer takes them, then awaits every one.
pub(crate) async fn run(workload: &Workload, messages: usize) -> Result<Tally> {
    let message = workload.message()?;
    let mut tally = Tally { messages: 0, failed: 0, latencies: Latencies::new()? };
    let mut on_their_way = Vec::with_capacity(messages);
    for _ in 0..messages {
        let began = Instant::now();
        match workload.producer.enqueue(message.clone()).await {
            Ok(delivery) => on_their_way.push((began, delivery)),
            Err(_) => tally.failed += 1,
        }
    }
    for (began, delivery) in on_their_way {
        match delivery.await {
            Ok(_) => tally.messages += 1,
            Err(_) => tally.failed += 1,
        }
        tally.latencies.record(began.elapsed());
    }
    Ok(tally)
}
