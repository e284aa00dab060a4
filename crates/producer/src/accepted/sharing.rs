//! Which messages may share a request.

use crate::accepted::Mode;
use crate::message::batch::RETRY_TOPICS;
use crate::message::content::Content;

/// Most messages of a batch.
pub(crate) const MOST_MESSAGES: usize = 1024;

/// Whether a message may share a request, and with which others of its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Sharing {
    /// It goes alone.
    Alone,
    /// With messages that have the same wait flag, are compressed alike, and want an answer as well or
    /// as little.
    With { wait_stored: bool, oneway: bool, sys_flag: i32 },
}

/// Decides whether a message may share a request.
///
/// Real brokers give members of a batch none of the care that a single send gets, so only what is
/// known to need none of it may: [`Message::is_ordinary`](crate::Message::is_ordinary) is a list of what is allowed.
pub(crate) fn sharing(
    content: &Content,
    mode: Mode,
    stored_bytes: usize,
    most_bytes: usize,
) -> Sharing {
    let message = &content.first;
    let small = stored_bytes <= most_bytes / 2;
    let is_made = !content.others().is_empty();
    if is_made || !small || !message.is_ordinary() || message.topic().starts_with(RETRY_TOPICS) {
        return Sharing::Alone;
    }
    Sharing::With {
        wait_stored: message.waits_until_stored(),
        oneway: mode == Mode::Oneway,
        sys_flag: content.sys_flag(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use bytes::Bytes;

    use super::*;
    use crate::Message;
    use crate::message::Part;
    use crate::message::content::Packed;
    use crate::message::wire_size::stored_bytes;

    const HALF: usize = 1024;
    const MOST: usize = 2 * HALF;

    #[test]
    fn what_may_share_a_request_and_with_whom() {
        let plain = || Message::new("t", "x");
        let share = |message: &Message, mode, bytes| {
            sharing(&message.clone().into(), mode, stored_bytes(bytes), MOST)
        };
        let with = |wait_stored, oneway| Sharing::With { wait_stored, oneway, sys_flag: 0 };
        let quick = plain().wait_stored(false);
        assert_eq!(share(&plain(), Mode::Sync, 1), with(true, false));
        assert_eq!(share(&plain(), Mode::Async, 1), with(true, false));
        assert_eq!(share(&quick, Mode::Async, 1), with(false, false));
        assert_eq!(share(&plain(), Mode::Oneway, 1), with(true, true));
        assert_eq!(share(&plain().order_by("k"), Mode::Sync, 1), with(true, false));
        let retried = Message::new("%RETRY%group", "x");
        assert_eq!(share(&retried, Mode::Sync, 1), Sharing::Alone);
        // Half of the cap, with all that is stored beside it.
        let beside = stored_bytes(0);
        assert_eq!(share(&plain(), Mode::Sync, HALF - beside), with(true, false));
        assert_eq!(share(&plain(), Mode::Sync, HALF - beside + 1), Sharing::Alone);
        assert_eq!(sharing(&plain().into(), Mode::Sync, 1, 0), Sharing::Alone, "off");
        // Messages that brokers treat specially.
        let special = [
            plain().delay_level(1),
            plain().deliver_after(Duration::from_secs(1)),
            plain().deliver_at(SystemTime::now()),
            plain().priority(1),
            plain().lite_topic("l"),
            plain().light_queue("q"),
            plain().part_of(Part::Transaction),
        ];
        for message in special {
            assert_eq!(share(&message, Mode::Sync, 1), Sharing::Alone, "{message:?}");
        }
        // Compressed ones among themselves.
        let body = Bytes::from_static(b"x");
        let packed = Packed { body, others: Vec::new(), sys_flag: 0x301 };
        let mut content = Content::from(plain());
        content.pack(packed);
        let with_packed = Sharing::With { wait_stored: true, oneway: false, sys_flag: 0x301 };
        assert_eq!(sharing(&content, Mode::Sync, 1, MOST), with_packed);
    }
}
