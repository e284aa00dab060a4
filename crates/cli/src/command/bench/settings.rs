//! What a run was asked to do, from the flags of either command.

use std::time::Duration;

use serde::Serialize;

use super::schedule::{End, Plan};
use crate::args::{Bench, Global, Load};
use crate::exit::Failure;

/// At a fixed rate, no send waits for others on purpose, but memory is limited.
const IN_FLIGHT_AT_A_RATE: u32 = 1_024;

/// The settings of a run.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Settings {
    #[serde(skip)]
    pub(super) command: &'static str,
    pub(super) topic: String,
    /// Bytes of each body.
    pub(super) size: usize,
    /// How long to send; without it, a number of messages.
    pub(super) duration_s: Option<f64>,
    pub(super) count: Option<u64>,
    pub(super) producers: u32,
    /// Over all producers.
    pub(super) in_flight: u32,
    pub(super) rate: Option<f64>,
    pub(super) oneway: bool,
    pub(super) batching: bool,
    pub(super) order_keys: Option<u32>,
    pub(super) tag: Option<String>,
    pub(super) timeout_ms: u64,
}

impl Settings {
    /// # Errors
    /// When there are more producers than messages in flight.
    pub(super) fn new(global: &Global, args: &Bench) -> Result<Self, Failure> {
        let (load, in_flight, oneway, order_keys) = match args {
            Bench::Send(send) => (&send.load, send.in_flight, send.oneway, send.order_keys),
            Bench::Latency(latency) => {
                let load = &latency.load;
                let one_each = load.producers;
                let in_flight = load.rate.map_or(one_each, |_| IN_FLIGHT_AT_A_RATE.max(one_each));
                (load, in_flight, false, None)
            }
        };
        let Load { producers, .. } = *load;
        if in_flight < producers {
            return Err(Failure::usage(format!(
                "--in-flight {in_flight} is less than --producers {producers}: some would never send"
            )));
        }
        Ok(Self {
            command: args.name(),
            topic: load.topic.clone(),
            size: load.size,
            duration_s: load.count.is_none().then_some(load.duration.as_secs_f64()),
            count: load.count,
            producers,
            in_flight,
            rate: load.rate,
            oneway,
            batching: !load.no_batching,
            order_keys,
            tag: load.tag.clone(),
            timeout_ms: u64::try_from(global.timeout.as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// When sends begin, and when that ends.
    pub(super) fn plan(&self) -> Plan {
        let time = Duration::try_from_secs_f64(self.duration_s.unwrap_or_default());
        Plan {
            end: match self.count {
                Some(count) => End::Count(count),
                None => End::After(time.unwrap_or(Duration::MAX)),
            },
            rate: self.rate,
            grace: Duration::from_millis(self.timeout_ms),
        }
    }

    /// The most messages that one producer has in flight.
    pub(super) fn in_flight_each(&self) -> usize {
        self.in_flight.div_ceil(self.producers) as usize
    }
}
