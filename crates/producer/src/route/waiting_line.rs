//! Messages that wait for the route of their topic, in the order of acceptance.

use std::sync::Arc;
use std::time::Instant;

use crate::accepted::Accepted;

/// From this many messages on, messages that their callers took back are looked for.
const SWEEP_AT: usize = 128;

#[derive(Debug)]
pub(super) struct WaitingLine {
    messages: Vec<Arc<Accepted>>,
    /// None of them expires before this.
    earliest: Option<Instant>,
    /// With this many messages, the ones that were taken back are dropped.
    sweep_at: usize,
}

impl WaitingLine {
    pub(super) fn of(first: Arc<Accepted>) -> Self {
        Self { earliest: Some(first.deadline), messages: vec![first], sweep_at: SWEEP_AT }
    }

    /// Puts a message at the end. Whether it expires before all that have been waiting.
    pub(super) fn push(&mut self, accepted: Arc<Accepted>) -> bool {
        let is_sooner = self.earliest.is_none_or(|at| accepted.deadline < at);
        if is_sooner {
            self.earliest = Some(accepted.deadline);
        }
        self.messages.push(accepted);
        if self.messages.len() >= self.sweep_at {
            self.messages.retain(|one| !one.has_ended());
            self.sweep_at = (self.messages.len() * 2).max(SWEEP_AT);
        }
        is_sooner
    }

    /// Takes all out.
    pub(super) fn take(&mut self) -> Vec<Arc<Accepted>> {
        self.earliest = None;
        std::mem::take(&mut self.messages)
    }

    /// Takes out the messages that fulfil `wanted`.
    pub(super) fn take_if(
        &mut self,
        wanted: impl FnMut(&Arc<Accepted>) -> bool,
    ) -> Vec<Arc<Accepted>> {
        let (taken, left): (Vec<_>, Vec<_>) = self.take().into_iter().partition(wanted);
        self.earliest = left.iter().map(|one| one.deadline).min();
        self.messages = left;
        taken
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// A time before which none expires; `None` when nothing waits.
    pub(super) fn earliest(&self) -> Option<Instant> {
        self.earliest
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Message;
    use crate::accepted::Sharing;
    use crate::accepted::tests::terms;

    #[test]
    fn it_says_which_comes_to_expire_first_and_when() {
        let now = Instant::now();
        let message = |seconds| {
            let terms = terms(now + Duration::from_secs(seconds), Sharing::Alone);
            Arc::new(Accepted::new(Message::new("t", "x").into(), terms))
        };
        let mut line = WaitingLine::of(message(5));
        for (seconds, sooner, earliest) in
            [(9, false, 5), (5, false, 5), (3, true, 3), (4, false, 3)]
        {
            assert_eq!(line.push(message(seconds)), sooner, "{seconds}");
            assert_eq!(line.earliest(), Some(now + Duration::from_secs(earliest)));
        }
        let by = now + Duration::from_secs(4);
        assert_eq!(line.take_if(|one| one.deadline <= by).len(), 2);
        assert_eq!(line.earliest(), Some(now + Duration::from_secs(5)));
        assert_eq!(line.take().len(), 3);
        assert_eq!((line.earliest(), line.is_empty()), (None, true));
        assert!(line.push(message(60)), "it is the first again");
    }

    #[test]
    fn those_taken_back_do_not_pile_up() {
        let message = || {
            let terms = terms(Instant::now(), Sharing::Alone);
            Arc::new(Accepted::new(Message::new("t", "x").into(), terms))
        };
        let mut line = WaitingLine::of(message());
        for _ in 0..10_000 {
            let one = message();
            line.push(one.clone());
            assert!(one.withdraw());
        }
        assert!(line.messages.len() <= 2 * SWEEP_AT, "{}", line.messages.len());
    }
}
