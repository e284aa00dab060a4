//! Hears what becomes of the input: the report. In tests, a record.

use std::time::Duration;

use posthaste::Message;
use tokio::time::Instant;

use crate::input::BadRecord;

/// Hears from the loop what became of each record, in the order of the input.
pub(crate) trait Listener {
    /// What a message has that ended well.
    type Receipt;
    /// Why a message failed.
    type Error;
    /// What of a message is needed when it ends, after the message itself has gone.
    type Original;

    /// What to keep of a message that is about to be sent.
    fn original(&self, message: &Message) -> Self::Original;

    /// A message ended.
    fn ended(
        &mut self,
        number: u64,
        original: &Self::Original,
        took: Duration,
        ending: Result<Self::Receipt, Self::Error>,
    );

    /// A record is no message.
    fn bad(&mut self, number: u64, bad: &BadRecord);

    /// Something about the input that its author may not know.
    fn remark(&mut self, text: &str);

    /// The input cannot be read any further. Reported at once, before the messages in flight end.
    fn unreadable(&mut self, why: &str);

    /// The first interrupt: nothing more is read.
    fn interrupted(&mut self, in_flight: usize);

    /// The loop may have to wait for a while: what is held back can be written. Gives the time when
    /// this is to be called again at the latest.
    fn idle(&mut self, in_flight: usize) -> Option<Instant>;
}
