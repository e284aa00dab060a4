//! How long messages that may share a batch are held back for it to grow.
//!
//! A pure state machine: what waits and what is on its way goes in, "they leave" or "they wait until
//! then" comes out. There are two kinds of it. Where a time to linger is set, messages wait for that
//! long; where none is, for the answers to what is on its way.

use std::time::{Duration, Instant};

use crate::accepted::MOST_MESSAGES;
use crate::config::Linger;

/// The longest time that messages are held back if no answer comes: about a round trip, within these
/// bounds.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(10);

/// What is decided upon. Only messages that may be held back count.
#[derive(Debug, Clone, Copy)]
pub(super) struct HoldFacts {
    /// How many messages wait, and how many bytes they have.
    pub(super) waiting: usize,
    pub(super) waiting_bytes: usize,
    /// How many are on their way.
    pub(super) in_flight: usize,
    /// How long answers take at present.
    pub(super) round_trip: Duration,
    /// No message that waits, of any kind, expires before this.
    pub(super) earliest: Option<Instant>,
    /// Whether messages may linger: not while a caller awaits their ends.
    pub(super) may_linger: bool,
}

/// Whether messages are held back at present, and since when.
#[derive(Debug)]
pub(super) struct Hold {
    /// Where it is set: for how long messages linger, and up to how many bytes.
    linger: Option<Linger>,
    state: HoldState,
}

#[derive(Debug, Clone, Copy)]
enum HoldState {
    /// None is held back.
    Free,
    Held {
        since: Instant,
        until: Instant,
    },
    /// They have lingered: they leave as soon as there is room.
    Lingered,
}

impl Hold {
    /// `batch_bytes` is the size of the largest batch: no message waits for a larger one.
    pub(super) fn new(linger: Option<Linger>, batch_bytes: usize) -> Self {
        let bounded = |linger: Linger| {
            let max_bytes = linger.max_bytes.min(batch_bytes);
            Linger { max_bytes, ..linger }
        };
        Self { linger: linger.map(bounded), state: HoldState::Free }
    }

    /// Until when messages that may share a batch wait for more of their kind. `None`: they leave.
    pub(super) fn until(&mut self, now: Instant, facts: &HoldFacts) -> Option<Instant> {
        let until = match self.linger {
            Some(linger) => self.lingers(linger, now, facts),
            None => self.awaits_answers(now, facts),
        };
        until.filter(|until| now < *until)
    }

    /// When a task that holds messages back has to look at them again.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.state {
            HoldState::Held { until, .. } => Some(until),
            HoldState::Free | HoldState::Lingered => None,
        }
    }

    /// How many messages have to come for a task to look at them: while it holds some back for the
    /// answers to come, as many as end that.
    pub(super) fn wake_at(&self, waiting: usize, in_flight: usize) -> usize {
        match (self.state, self.linger) {
            (HoldState::Held { .. }, None) => in_flight.saturating_sub(waiting).max(1),
            _ => 1,
        }
    }

    /// None waits any more: the next one is held back anew.
    pub(super) fn clear(&mut self) {
        self.state = HoldState::Free;
    }

    /// Messages that had left wait once more: they do not linger again.
    pub(super) fn came_back(&mut self) {
        if self.linger.is_some() {
            self.state = HoldState::Lingered;
        }
    }

    /// Few large requests cost a broker far less than many small ones. So what waits leaves when it
    /// is as much as what is on its way: under load there are two requests or three, that grow with
    /// the load, and a lone message leaves at once. It is the answers that end the waiting; should
    /// one fail to come, it ends after about a round trip.
    fn awaits_answers(&mut self, now: Instant, facts: &HoldFacts) -> Option<Instant> {
        if facts.waiting == 0 || facts.waiting >= facts.in_flight {
            self.state = HoldState::Free;
            return None;
        }
        Some(self.hold(now, |since| since + facts.round_trip.clamp(SHORTEST, LONGEST)))
    }

    /// Until the first of them has waited long enough, or enough of them wait. Then all leave, and
    /// the next one begins to wait anew.
    fn lingers(&mut self, linger: Linger, now: Instant, facts: &HoldFacts) -> Option<Instant> {
        if facts.waiting == 0 || matches!(self.state, HoldState::Lingered) {
            return None;
        }
        let until = self.hold(now, |since| linger_end(linger, since, facts.earliest));
        let lingers = now < until
            && facts.waiting < MOST_MESSAGES
            && facts.waiting_bytes < linger.max_bytes
            && facts.may_linger;
        if !lingers {
            self.state = HoldState::Lingered;
            return None;
        }
        Some(until)
    }

    /// Holds back since `now`, or since it began to; says until when.
    fn hold(&mut self, now: Instant, end: impl FnOnce(Instant) -> Instant) -> Instant {
        let since = match self.state {
            HoldState::Held { since, .. } => since,
            HoldState::Free | HoldState::Lingered => now,
        };
        let until = end(since);
        self.state = HoldState::Held { since, until };
        until
    }
}

/// When lingering ends, so that nothing expires by it.
fn linger_end(linger: Linger, since: Instant, earliest: Option<Instant>) -> Instant {
    let left = earliest.map(|at| at.saturating_duration_since(since) / 2);
    since + left.map_or(linger.time, |left| linger.time.min(left))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// A busy connection: `waiting` small messages, and this many on their way.
    fn facts(waiting: usize, in_flight: usize) -> HoldFacts {
        let (waiting_bytes, round_trip) = (waiting * 100, ms(4));
        let (earliest, may_linger) = (None, true);
        HoldFacts { waiting, waiting_bytes, in_flight, round_trip, earliest, may_linger }
    }

    fn lingering(time: Duration, max_bytes: usize) -> Hold {
        Hold::new(Some(Linger { time, max_bytes }), 1_000_000)
    }

    /// What happens at one time, in ms, and until when messages wait then, in ms; then how many
    /// messages wake the task.
    #[track_caller]
    fn runs(mut hold: Hold, steps: &[(u64, HoldFacts, Option<u64>, usize)]) {
        let start = Instant::now();
        for (at, facts, until, wake_at) in steps {
            let got = hold.until(start + ms(*at), facts).map(|until| until - start);
            assert_eq!(got, until.map(ms), "at {at} ms, {facts:?}");
            assert_eq!(hold.wake_at(facts.waiting, facts.in_flight), *wake_at, "at {at} ms");
        }
    }

    #[test]
    fn messages_wait_for_as_many_as_are_on_their_way_or_about_a_round_trip() {
        let slow = |facts| HoldFacts { round_trip: ms(500), ..facts };
        let quick = |facts| HoldFacts { round_trip: Duration::ZERO, ..facts };
        let hold = || Hold::new(None, 1_000_000);
        // Alone, or beside as many as it: at once.
        runs(hold(), &[(0, facts(1, 0), None, 1), (0, facts(1, 1), None, 1)]);
        runs(hold(), &[(0, facts(0, 9), None, 1)]);
        // Fewer: until answers make it even, and anew when more is on its way again.
        runs(
            hold(),
            &[
                (0, facts(2, 10), Some(4), 8),
                (1, facts(3, 10), Some(4), 7),
                (2, facts(3, 3), None, 1),
                (3, facts(1, 3), Some(7), 2),
            ],
        );
        // No answer comes: all that wait leave, and until then none is held back anew.
        runs(hold(), &[(0, facts(2, 10), Some(4), 8), (4, facts(2, 10), None, 8)]);
        // Neither does it begin anew for one that comes back.
        let mut held = hold();
        let now = Instant::now();
        assert_eq!(held.until(now, &facts(2, 10)), Some(now + ms(4)));
        held.came_back();
        assert_eq!(held.until(now + ms(1), &facts(3, 10)), Some(now + ms(4)));
        // The bounds of a round trip.
        runs(hold(), &[(0, slow(facts(1, 2)), Some(10), 1), (10, slow(facts(1, 2)), None, 1)]);
        runs(hold(), &[(0, quick(facts(1, 2)), Some(1), 1), (1, quick(facts(1, 2)), None, 1)]);
    }

    #[test]
    fn messages_linger_until_their_time_is_up_or_enough_wait() {
        let hold = || lingering(ms(100), 5_000);
        let pressed = |facts| HoldFacts { may_linger: false, ..facts };
        // What is on its way does not matter, and each message is looked at.
        runs(
            hold(),
            &[
                (0, facts(0, 0), None, 1),
                (10, facts(1, 0), Some(110), 1),
                (60, facts(2, 9), Some(110), 1),
                (110, facts(2, 9), None, 1),
                // They leave as soon as there is room.
                (111, facts(1, 9), None, 1),
            ],
        );
        runs(hold(), &[(0, facts(49, 0), Some(100), 1), (1, facts(50, 0), None, 1)]);
        runs(hold(), &[(0, facts(1, 0), Some(100), 1), (1, pressed(facts(1, 0)), None, 1)]);
        let small = |waiting| HoldFacts { waiting_bytes: 0, ..facts(waiting, 0) };
        let most = MOST_MESSAGES;
        runs(hold(), &[(0, small(most - 1), Some(100), 1), (1, small(most), None, 1)]);
        // A batch never has more bytes than a broker takes.
        let small_batches = Hold::new(Some(Linger { time: ms(100), max_bytes: 5_000 }), 200);
        runs(small_batches, &[(0, facts(1, 0), Some(100), 1), (1, facts(2, 0), None, 1)]);
    }

    #[test]
    fn nothing_expires_by_lingering() {
        let mut hold = lingering(ms(100), 5_000);
        let now = Instant::now();
        let ends = |at| HoldFacts { earliest: Some(now + ms(at)), ..facts(1, 0) };
        assert_eq!(hold.until(now, &ends(1_000)), Some(now + ms(100)));
        assert_eq!(hold.until(now + ms(1), &ends(60)), Some(now + ms(30)));
        assert_eq!(hold.due(), Some(now + ms(30)));
        assert_eq!(hold.until(now + ms(30), &ends(60)), None);
        assert_eq!(hold.due(), None);
    }

    #[test]
    fn what_has_lingered_lingers_anew_only_after_none_waited() {
        let mut hold = lingering(ms(100), 5_000);
        let now = Instant::now();
        hold.came_back();
        assert_eq!(hold.until(now, &facts(1, 0)), None);
        assert_eq!(hold.until(now, &facts(2, 0)), None);
        hold.clear();
        assert_eq!(hold.until(now + ms(7), &facts(1, 0)), Some(now + ms(107)));
        hold.clear();
        assert_eq!(hold.due(), None);
    }
}
