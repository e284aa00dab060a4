//! Whether a failed attempt is followed by another.

use std::time::Duration;

use crate::connection::answer::Remedy;
use crate::connection::attempt_failure::AttemptEnd;
use crate::net::backoff::Backoff;

/// Where a message may go whose queue its broker does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OtherQueue {
    /// It is for that queue alone.
    Never,
    /// To a queue that the present route has, and its broker has not denied.
    Known,
    /// To one that the next route has.
    InNextRoute,
}

/// What is left to try with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Left {
    /// Until the deadline.
    pub(crate) time: Duration,
    /// Retries not used up.
    pub(crate) retries: u32,
    /// Retries used up.
    pub(crate) used: u32,
    /// Whether another broker could take the message.
    pub(crate) elsewhere: bool,
    /// Where it may go if its broker does not have its queue.
    pub(crate) other_queue: OtherQueue,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The send ends with the attempt's error.
    Stop,
    /// Another attempt at once; it uses up no retry.
    Free,
    /// Another attempt when the route has been looked up again; it uses up no retry.
    WithNewRoute,
    /// Another attempt, which uses up a retry, after a pause of at most this.
    Again(Duration),
}

/// Pauses before a retry on the broker that has just failed.
const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(100), longest: Duration::from_millis(3_200) };

/// Decides. `budget` is asked only when all else allows another attempt.
pub(crate) fn next(ended: AttemptEnd, left: Left, budget: impl FnOnce() -> bool) -> Next {
    if left.time.is_zero() {
        return Next::Stop;
    }
    let allowed = match ended {
        AttemptEnd::Unsent => return Next::Free,
        AttemptEnd::NoTrust if left.elsewhere => return Next::Free,
        AttemptEnd::NoTrust => false,
        AttemptEnd::Answered(Remedy::AnotherQueue) => {
            return match left.other_queue {
                OtherQueue::Never => Next::Stop,
                OtherQueue::Known => Next::Free,
                OtherQueue::InNextRoute => Next::WithNewRoute,
            };
        }
        AttemptEnd::Answered(Remedy::Stop) => false,
        AttemptEnd::Answered(Remedy::TryOnceElsewhere) => left.elsewhere && left.used == 0,
        AttemptEnd::Answered(Remedy::TryOnceWithNewRoute) => left.used == 0,
        AttemptEnd::Unanswered | AttemptEnd::Answered(Remedy::TryAgain | Remedy::WaitHere) => true,
    };
    if !allowed || left.retries == 0 || !budget() {
        return Next::Stop;
    }
    if left.elsewhere {
        return Next::Again(Duration::ZERO);
    }
    Next::Again(BACKOFF.after(left.used.saturating_add(1)).min(left.time / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEFT: Left = Left {
        time: Duration::from_secs(1),
        retries: 2,
        used: 0,
        elsewhere: true,
        other_queue: OtherQueue::Known,
    };

    #[test]
    fn what_follows_a_failed_attempt() {
        let alone = Left { elsewhere: false, ..LEFT };
        let used = Left { used: 1, retries: 1, ..LEFT };
        let none = Left { retries: 0, used: 2, ..LEFT };
        let late = Left { time: Duration::ZERO, ..LEFT };
        let keyed = Left { other_queue: OtherQueue::InNextRoute, ..none };
        let given = Left { other_queue: OtherQueue::Never, ..LEFT };
        let now = Next::Again(Duration::ZERO);
        let soon = Next::Again(BACKOFF.first);
        let answered = AttemptEnd::Answered;
        for (ended, left, expected) in [
            (AttemptEnd::Unsent, LEFT, Next::Free),
            (AttemptEnd::Unsent, none, Next::Free),
            (AttemptEnd::Unsent, late, Next::Stop),
            (AttemptEnd::NoTrust, none, Next::Free),
            (AttemptEnd::NoTrust, alone, Next::Stop),
            (AttemptEnd::Unanswered, LEFT, now),
            (AttemptEnd::Unanswered, alone, soon),
            (AttemptEnd::Unanswered, none, Next::Stop),
            (answered(Remedy::Stop), LEFT, Next::Stop),
            (answered(Remedy::TryAgain), LEFT, now),
            (answered(Remedy::TryAgain), none, Next::Stop),
            (answered(Remedy::TryOnceElsewhere), LEFT, now),
            (answered(Remedy::TryOnceElsewhere), alone, Next::Stop),
            (answered(Remedy::TryOnceElsewhere), used, Next::Stop),
            (answered(Remedy::TryOnceWithNewRoute), alone, soon),
            (answered(Remedy::TryOnceWithNewRoute), used, Next::Stop),
            (answered(Remedy::AnotherQueue), none, Next::Free),
            (answered(Remedy::AnotherQueue), keyed, Next::WithNewRoute),
            (answered(Remedy::AnotherQueue), given, Next::Stop),
            (answered(Remedy::AnotherQueue), late, Next::Stop),
        ] {
            assert_eq!(next(ended, left, || true), expected, "{ended:?} {left:?}");
        }
        assert_eq!(next(AttemptEnd::Unanswered, LEFT, || false), Next::Stop);
    }

    #[test]
    fn pauses_before_retries_on_one_broker_double_within_the_time_left() {
        let ms = Duration::from_millis;
        for (used, time, pause) in [
            (0, ms(60_000), ms(100)),
            (1, ms(60_000), ms(200)),
            (5, ms(60_000), ms(3_200)),
            (u32::MAX, ms(60_000), ms(3_200)),
            (2, ms(700), ms(350)),
        ] {
            let left = Left { used, time, elsewhere: false, ..LEFT };
            let next = next(AttemptEnd::Unanswered, left, || true);
            assert_eq!(next, Next::Again(pause), "{left:?}");
        }
    }
}
