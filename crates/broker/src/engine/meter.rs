//! How much of something passes in a minute, an hour and a day.

use posthaste_protocol::request::{BrokerStats, BrokerStatsItem};

use super::Millis;

/// The finest step: what happens within one is counted together.
const STEP_MS: Millis = 10_000;
const MINUTE_MS: Millis = 60_000;
const HOUR_MS: Millis = 60 * MINUTE_MS;

/// Counts what passes, and forgets it after a day.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// The present step, which is not in the windows yet: most calls touch nothing else.
    present: Slot,
    minute: Window<6, { STEP_MS }>,
    hour: Window<6, { 10 * MINUTE_MS }>,
    day: Window<24, { HOUR_MS }>,
}

/// What has passed in one step of a window.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    /// Which step it is, counted from 1970.
    step: Millis,
    sum: u64,
    times: u64,
}

impl Meter {
    /// This many have passed, all at once.
    pub(crate) fn record(&mut self, now: Millis, count: u64) {
        let step = now / STEP_MS;
        if self.present.step != step {
            self.put_away();
            self.present = Slot { step, sum: 0, times: 0 };
        }
        self.present.sum += count;
        self.present.times += 1;
    }

    /// How much has passed.
    pub(crate) fn stats(&mut self, now: Millis) -> BrokerStats {
        self.put_away();
        BrokerStats {
            stats_day: self.day.item(now),
            stats_hour: self.hour.item(now),
            stats_minute: self.minute.item(now),
        }
    }

    /// How many pass in a second, over the last minute.
    pub(crate) fn tps(&mut self, now: Millis) -> f64 {
        self.stats(now).stats_minute.tps
    }

    fn put_away(&mut self) {
        let Slot { step, sum, times } = self.present;
        if times > 0 {
            let at = step * STEP_MS;
            self.minute.add(at, sum, times);
            self.hour.add(at, sum, times);
            self.day.add(at, sum, times);
        }
        self.present = Slot { step, sum: 0, times: 0 };
    }
}

/// The last `N` steps of `STEP` ms.
#[derive(Debug)]
struct Window<const N: usize, const STEP: Millis> {
    slots: [Slot; N],
}

impl<const N: usize, const STEP: Millis> Default for Window<N, STEP> {
    fn default() -> Self {
        Self { slots: [Slot::default(); N] }
    }
}

impl<const N: usize, const STEP: Millis> Window<N, STEP> {
    fn add(&mut self, at: Millis, sum: u64, times: u64) {
        let step = at / STEP;
        let slot = usize::try_from(step).ok().and_then(|step| self.slots.get_mut(step % N));
        let Some(slot) = slot else { return };
        if slot.step != step {
            *slot = Slot { step, sum: 0, times: 0 };
        }
        slot.sum += sum;
        slot.times += times;
    }

    fn item(&self, now: Millis) -> BrokerStatsItem {
        let oldest = now / STEP - N as Millis;
        let counted = self.slots.iter().filter(|slot| slot.times > 0 && slot.step > oldest);
        let (sum, times) =
            counted.fold((0, 0), |(sum, times), slot| (sum + slot.sum, times + slot.times));
        let seconds = (N as Millis * STEP / 1_000) as f64;
        BrokerStatsItem {
            each_time: if times == 0 { 0.0 } else { sum as f64 / times as f64 },
            sum: sum as i64,
            tps: sum as f64 / seconds,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_counted_for_a_minute_an_hour_and_a_day() {
        let start = 1_700_000_000_000;
        let mut meter = Meter::default();
        meter.record(start, 10);
        meter.record(start + 1, 20);
        let sums = |meter: &mut Meter, now| {
            let stats = meter.stats(now);
            [stats.stats_minute.sum, stats.stats_hour.sum, stats.stats_day.sum]
        };
        assert_eq!(sums(&mut meter, start + 2), [30; 3]);
        let minute = meter.stats(start + 2).stats_minute;
        assert_eq!((minute.tps, minute.each_time), (0.5, 15.0));
        assert_eq!(sums(&mut meter, start + 2 * MINUTE_MS), [0, 30, 30]);
        meter.record(start + 2 * MINUTE_MS, 6);
        assert_eq!(sums(&mut meter, start + 2 * MINUTE_MS), [6, 36, 36]);
        assert_eq!(meter.tps(start + 2 * MINUTE_MS), 0.1);
        assert_eq!(sums(&mut meter, start + 3 * HOUR_MS), [0, 0, 36]);
        assert_eq!(sums(&mut meter, start + 26 * HOUR_MS), [0; 3]);
    }
}
