//! What the loop does next, decided once a turn from what is so at one moment.

use tokio::time::Instant;

/// What is so.
#[derive(Debug, Clone, Copy)]
pub(super) struct Situation {
    /// More of the input is wanted.
    pub(super) reading: bool,
    /// What is here of it.
    pub(super) next: Next,
    /// Another message may be on its way.
    pub(super) room: bool,
    /// When the next message may be sent at the earliest; without a time at once.
    pub(super) due: Option<Instant>,
    pub(super) on_their_way: usize,
}

/// The next item of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// There is none: it has to be waited for.
    Nothing,
    Message,
    /// Something that is not sent, and has no time at which it is due.
    Other,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Take the next item.
    Take,
    /// Wait until there is more of the input, or a message has ended.
    WaitForInput,
    /// Wait until a message has ended, or until then.
    Wait { due: Option<Instant> },
    /// Everything is done.
    End,
}

impl Situation {
    /// More of the input is waited for only when nothing is left of it, and then always, whether a
    /// message could be sent or not: so the end of the input is seen when it comes.
    pub(super) fn step(self, now: Instant) -> Step {
        match self.next {
            _ if !self.reading && self.on_their_way == 0 => Step::End,
            _ if !self.reading => Step::Wait { due: None },
            Next::Nothing => Step::WaitForInput,
            _ if !self.room => Step::Wait { due: None },
            Next::Message if self.due.is_some_and(|due| due > now) => Step::Wait { due: self.due },
            _ => Step::Take,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_table_of_steps() {
        use Next::{Message, Nothing, Other};
        let now = Instant::now();
        let past = Some(now - Duration::from_millis(1));
        let later = Some(now + Duration::from_secs(3));
        let wait = Step::Wait { due: None };
        // Reading, what is next, room, due, on their way.
        let rows = [
            (true, Message, true, None, 0, Step::Take),
            (true, Message, true, past, 9, Step::Take),
            (true, Message, true, Some(now), 0, Step::Take),
            (true, Message, true, later, 0, Step::Wait { due: later }),
            (true, Message, true, later, 9, Step::Wait { due: later }),
            (true, Message, false, None, 9, wait),
            (true, Message, false, past, 9, wait),
            (true, Message, false, later, 9, wait),
            (true, Other, true, later, 0, Step::Take),
            (true, Other, false, None, 9, wait),
            (true, Nothing, true, None, 0, Step::WaitForInput),
            (true, Nothing, true, later, 0, Step::WaitForInput),
            (true, Nothing, false, later, 9, Step::WaitForInput),
            (false, Message, true, None, 9, wait),
            (false, Nothing, true, later, 9, wait),
            (false, Message, true, None, 0, Step::End),
            (false, Nothing, true, later, 0, Step::End),
        ];
        for (reading, next, room, due, on_their_way, step) in rows {
            let situation = Situation { reading, next, room, due, on_their_way };
            assert_eq!(situation.step(now), step, "{situation:?}");
        }
    }
}
