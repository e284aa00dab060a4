//! A recorder of metrics that keeps everything in memory. Programs install an exporter instead, such
//! as that for Prometheus.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

/// What was recorded, by name and labels.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<BTreeMap<String, Recorded>>>);

/// One metric. Counters and gauges are numbers, as `metrics` keeps them in an atomic.
#[derive(Debug, Clone)]
enum Recorded {
    Counter(Arc<AtomicU64>),
    Gauge(Arc<AtomicU64>),
    Histogram(Arc<Values>),
}

#[derive(Debug, Default)]
struct Values(Mutex<Vec<f64>>);

impl HistogramFn for Values {
    fn record(&self, value: f64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(value);
    }
}

impl Memory {
    /// Every metric, as `name{label="value",…} value`; of a histogram how many values it has, and
    /// their sum.
    pub(crate) fn lines(&self) -> Vec<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let line = |(name, recorded): (&String, &Recorded)| match recorded {
            Recorded::Counter(value) => format!("{name} {}", value.load(Ordering::Relaxed)),
            Recorded::Gauge(bits) => {
                format!("{name} {}", f64::from_bits(bits.load(Ordering::Relaxed)))
            }
            Recorded::Histogram(values) => {
                let values = values.0.lock().unwrap_or_else(PoisonError::into_inner);
                format!("{name} {} values, sum {}", values.len(), values.iter().sum::<f64>())
            }
        };
        all.iter().map(line).collect()
    }

    fn get(&self, key: &Key, new: fn() -> Recorded) -> Recorded {
        let labels = key.labels().map(|label| format!("{}={:?}", label.key(), label.value()));
        let name = format!("{}{{{}}}", key.name(), labels.collect::<Vec<_>>().join(","));
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(name).or_insert_with(new).clone()
    }
}

impl Recorder for Memory {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        match self.get(key, || Recorded::Counter(Arc::default())) {
            Recorded::Counter(value) => Counter::from_arc(value),
            _ => Counter::noop(),
        }
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        match self.get(key, || Recorded::Gauge(Arc::default())) {
            Recorded::Gauge(bits) => Gauge::from_arc(bits),
            _ => Gauge::noop(),
        }
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        match self.get(key, || Recorded::Histogram(Arc::default())) {
            Recorded::Histogram(values) => Histogram::from_arc(values),
            _ => Histogram::noop(),
        }
    }
}
