//! The protocol's times: milliseconds since 1970.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The present, by a clock that never steps and by the wall clock.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Present {
    pub(crate) now: Instant,
    /// What the wall clock says, since 1970.
    wall: Duration,
}

impl Present {
    /// The present, of which the clock that never steps has just said `now`.
    pub(crate) fn at(now: Instant) -> Self {
        Self { now, wall: since_1970(SystemTime::now()) }
    }

    /// What the wall clock would have said at an earlier time, had it never stepped since.
    pub(crate) fn ms_since_1970(&self, earlier: Instant) -> i64 {
        ms(self.wall.saturating_sub(self.now.saturating_duration_since(earlier)))
    }
}

/// The number of ms since 1970; 0 for what was before.
pub(crate) fn ms_since_1970(time: SystemTime) -> i64 {
    ms(since_1970(time))
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// The time of a number of ms since 1970; `None` when that is negative or beyond what there is.
pub(crate) fn system_time(ms: i64) -> Option<SystemTime> {
    UNIX_EPOCH.checked_add(Duration::from_millis(u64::try_from(ms).ok()?))
}
