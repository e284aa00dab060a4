//! Room in the batch that is being formed.
//!
//! Lanes and outbox form batches by it, plain data as they are.

use super::Accepted;
use super::sharing::{MOST_MESSAGES, Sharing};

/// What is left for further messages in the batch that is being formed.
#[derive(Debug)]
pub(crate) struct BatchRoom {
    sharing: Sharing,
    messages: usize,
    bytes: usize,
}

impl BatchRoom {
    /// Room beside a first message, in a batch of at most `most` messages.
    pub(crate) fn beside(first: &Accepted, most: usize, most_bytes: usize) -> Self {
        Self {
            sharing: first.sharing,
            messages: most.min(MOST_MESSAGES).min(first.most_together()).saturating_sub(1),
            bytes: most_bytes.saturating_sub(first.stored_bytes()),
        }
    }

    /// At most this many more may follow.
    pub(crate) fn messages(&self) -> usize {
        if self.sharing == Sharing::Alone { 0 } else { self.messages }
    }

    /// Takes a message in, if it may and fits.
    pub(crate) fn take(&mut self, accepted: &Accepted) -> bool {
        let bytes = accepted.stored_bytes();
        let fits = self.messages() > 0
            && accepted.sharing == self.sharing
            && accepted.most_together() > 1
            && bytes <= self.bytes;
        if fits {
            self.messages -= 1;
            self.bytes -= bytes;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::Message;
    use crate::accepted::Terms;
    use crate::accepted::tests::terms;

    const MOST: usize = 2 * 1024;
    const WITH: Sharing = Sharing::With { wait_stored: true, oneway: false, sys_flag: 0 };

    fn accepted(sharing: Sharing, stored_bytes: u32) -> Accepted {
        let terms = Terms { stored_bytes, ..terms(Instant::now(), sharing) };
        Accepted::new(Message::new("t", "x").into(), terms)
    }

    /// How many messages like this one fit beside it.
    fn fit(room: &mut BatchRoom, one: &Accepted) -> usize {
        (0..10_000).take_while(|_| room.take(one)).count()
    }

    #[test]
    fn room_is_for_so_many_messages_and_bytes() {
        for (most, bytes, expected) in [
            (MOST_MESSAGES, 1, MOST_MESSAGES - 1),
            (MOST_MESSAGES, 100, 19),
            (MOST_MESSAGES, 1024, 1),
            (MOST_MESSAGES, 1025, 0),
            (usize::MAX, 1, MOST_MESSAGES - 1),
            (7, 1, 6),
            (1, 1, 0),
            (0, 1, 0),
        ] {
            let one = accepted(WITH, bytes);
            let mut room = BatchRoom::beside(&one, most, MOST);
            assert_eq!(fit(&mut room, &one), expected, "most {most}, {bytes} bytes each");
        }
        // A larger one does not fit any more, a smaller one may.
        let mut room = BatchRoom::beside(&accepted(WITH, 1_000), 10, MOST);
        assert!(room.take(&accepted(WITH, 1_000)));
        assert!(!room.take(&accepted(WITH, 100)));
        assert!(room.take(&accepted(WITH, 48)));
    }

    #[test]
    fn room_is_for_messages_of_the_same_kind() {
        let kinds = [
            Sharing::Alone,
            WITH,
            Sharing::With { wait_stored: false, oneway: false, sys_flag: 0 },
            Sharing::With { wait_stored: true, oneway: true, sys_flag: 0 },
            Sharing::With { wait_stored: true, oneway: false, sys_flag: 1 },
        ];
        for first in kinds {
            for second in kinds {
                let mut room = BatchRoom::beside(&accepted(first, 1), MOST_MESSAGES, MOST);
                let fits = room.take(&accepted(second, 1));
                assert_eq!(fits, first == second && first != Sharing::Alone);
            }
        }
    }

    #[test]
    fn what_was_in_a_refused_batch_goes_in_smaller_ones() {
        let halved = accepted(WITH, 1);
        halved.limit_batch(4);
        let fresh = accepted(WITH, 1);
        assert_eq!(fit(&mut BatchRoom::beside(&halved, MOST_MESSAGES, MOST), &fresh), 3);
        let singly = accepted(WITH, 1);
        singly.limit_batch(0);
        assert_eq!(singly.most_together(), 1);
        assert_eq!(fit(&mut BatchRoom::beside(&singly, MOST_MESSAGES, MOST), &fresh), 0);
        assert_eq!(fit(&mut BatchRoom::beside(&fresh, MOST_MESSAGES, MOST), &singly), 0);
        // Never more again.
        singly.limit_batch(512);
        assert_eq!(singly.most_together(), 1);
    }
}
