//! What others see of a connection.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::health::Health;

/// What is known of a broker when a message looks for one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct BrokerLoad {
    /// Messages waiting for it and in flight to it.
    pub(crate) backlog: usize,
    /// Whether it is left out: connecting to it failed within the last two seconds, or it does not
    /// answer as it should.
    pub(crate) left_out: bool,
}

/// How long a broker is left out after a connect to it failed.
const UNREACHABLE_FOR: Duration = Duration::from_secs(2);

/// What others see of a connection's task.
#[derive(Debug)]
pub(crate) struct Load {
    /// Messages in flight.
    pub(super) in_flight: AtomicUsize,
    /// Requests in flight that carry messages.
    pub(super) requests: AtomicUsize,
    pub(super) window: AtomicUsize,
    /// When a connect failed last, in ms since `born`, plus one.
    failed_at: AtomicU64,
    /// Whether a connection stands.
    pub(super) connected: AtomicBool,
    pub(crate) health: Health,
    /// Messages that callers took back since the last sweep.
    pub(super) withdrawn: AtomicUsize,
    /// The protocol version that the peer declared last; 0: none yet.
    pub(super) version: AtomicI32,
    born: Instant,
}

impl Load {
    pub(super) fn new() -> Self {
        Self {
            in_flight: AtomicUsize::new(0),
            requests: AtomicUsize::new(0),
            window: AtomicUsize::new(0),
            failed_at: AtomicU64::new(0),
            connected: AtomicBool::new(false),
            health: Health::new(),
            withdrawn: AtomicUsize::new(0),
            version: AtomicI32::new(0),
            born: Instant::now(),
        }
    }

    pub(crate) fn is_left_out(&self) -> bool {
        self.is_unreachable() || self.health.is_left_out()
    }

    fn is_unreachable(&self) -> bool {
        let failed_at = self.failed_at.load(Ordering::Relaxed);
        let now = || self.born.elapsed().as_millis() as u64 + 1;
        failed_at != 0 && now().saturating_sub(failed_at) < UNREACHABLE_FOR.as_millis() as u64
    }

    pub(super) fn connect_failed(&self) {
        self.failed_at.store(self.born.elapsed().as_millis() as u64 + 1, Ordering::Relaxed);
    }

    pub(super) fn connected(&self) {
        self.failed_at.store(0, Ordering::Relaxed);
        self.connected.store(true, Ordering::Relaxed);
    }
}
