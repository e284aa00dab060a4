//! How many messages of a stream may be on their way: few enough that none waits long.

use std::time::Duration;

/// Before anything is known of the broker.
const FIRST: usize = 16;
/// Quicker than this part of the deadline is never slow.
const QUICK: u32 = 32;
/// Slower than this part of the deadline always is.
const SLOW: u32 = 4;
/// In between, slow is what takes this many times as long as the quickest answer: so a long way
/// to the broker is not taken for a queue before it.
const TIMES: u32 = 4;

/// A limit that follows the latency.
///
/// What waits behind others spends its own deadline. With a fixed number that suits a fast broker,
/// messages would fail on a slow one (one key, ordered, each message synced to disk), only because
/// too many were sent at once. So the limit doubles with each round of quick answers, and halves
/// when they become slow.
pub(crate) struct InFlightLimit {
    limit: usize,
    most: usize,
    timeout: Duration,
    /// The quickest answer so far.
    least: Duration,
    /// Endings of messages that left under an older limit, and say nothing of this one.
    ignore: usize,
}

impl InFlightLimit {
    pub(crate) fn new(most: usize, timeout: Duration) -> Self {
        Self { limit: FIRST.min(most), most, timeout, least: timeout, ignore: 0 }
    }

    /// How many messages may be on their way.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// A message ended after this time.
    pub(crate) fn ended(&mut self, took: Duration) {
        self.least = self.least.min(took);
        let slow = (self.least * TIMES).clamp(self.timeout / QUICK, self.timeout / SLOW);
        if self.ignore > 0 {
            self.ignore -= 1;
        } else if took > slow {
            self.ignore = self.limit;
            self.limit = (self.limit / 2).max(1);
        } else {
            self.limit = (self.limit + 1).min(self.most);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(3);

    /// Sends to a broker that answers one message after another, at this rate, over a way that
    /// takes this long. Gives the longest latency and the last limit.
    fn run(per_second: f64, way: Duration, messages: usize) -> (Duration, usize) {
        let mut limit = InFlightLimit::new(1_024, TIMEOUT);
        let (mut now, mut longest) = (Duration::ZERO, Duration::ZERO);
        let mut on_their_way = VecDeque::new();
        for _ in 0..messages {
            while on_their_way.len() < limit.limit() {
                on_their_way.push_back(now);
            }
            now += Duration::from_secs_f64(1.0 / per_second);
            let took = now - on_their_way.pop_front().unwrap() + way;
            longest = longest.max(took);
            limit.ended(took);
        }
        (longest, limit.limit())
    }

    #[test]
    fn no_message_waits_for_others_until_its_deadline() {
        for per_second in [10.0, 50.0, 200.0, 1_000.0, 10_000.0, 100_000.0] {
            let (longest, limit) = run(per_second, Duration::ZERO, 20_000);
            assert!(longest < TIMEOUT * 3 / 4, "{per_second}/s: {longest:?}, limit {limit}");
        }
    }

    #[test]
    fn a_fast_broker_gets_all_that_is_allowed() {
        assert_eq!(run(50_000.0, Duration::ZERO, 5_000).1, 1_024);
        assert_eq!(run(50_000.0, Duration::from_millis(150), 5_000).1, 1_024, "far away");
        assert_eq!(InFlightLimit::new(1, TIMEOUT).limit(), 1);
    }
}
