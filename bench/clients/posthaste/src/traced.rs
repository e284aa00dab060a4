//! The producer's window over time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use bench_session::{Latencies, Moment, Tally};
use posthaste::{Producer, Stats};

use crate::workload::Workload;

const PERIOD: Duration = Duration::from_millis(50);

/// Runs the workload and looks at its producer every 50 ms.
pub(crate) async fn run(workload: &Workload, time: Duration) -> Result<(Tally, Vec<Moment>)> {
    let watch = tokio::spawn(watch(workload.producer.clone(), workload.latencies.clone(), time));
    let tally = workload.run(time, None).await?;
    Ok((tally, watch.await?))
}

async fn watch(
    producer: Producer,
    latencies: Arc<Mutex<Latencies>>,
    time: Duration,
) -> Vec<Moment> {
    let began = Instant::now();
    let mut ticks = tokio::time::interval(PERIOD);
    let mut before = producer.stats();
    let mut moments = Vec::new();
    while began.elapsed() < time {
        ticks.tick().await;
        let now = producer.stats();
        let mut latencies = latencies.lock().unwrap_or_else(PoisonError::into_inner);
        let p50_us = latencies.quantile_us(0.5);
        latencies.clear();
        drop(latencies);
        moments.push(moment(began.elapsed(), &before, &now, p50_us));
        before = now;
    }
    moments
}

fn moment(at: Duration, before: &Stats, now: &Stats, p50_us: f64) -> Moment {
    let sum = |of: fn(&posthaste::BrokerStats) -> usize| now.brokers.iter().map(of).sum();
    Moment {
        at_ms: at.as_secs_f64() * 1000.0,
        // The name server's connection has a window too, but sends nothing.
        limit: now.brokers.iter().map(|broker| broker.window).max().unwrap_or_default(),
        in_flight: sum(|broker| broker.in_flight),
        waiting: sum(|broker| broker.waiting),
        messages: now.acked - before.acked,
        requests: now.requests - before.requests,
        refused: now.busy - before.busy,
        p50_us,
    }
}
