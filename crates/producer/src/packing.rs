//! Compressing bodies before they are sent.

use posthaste_protocol::Compression;

use crate::content::{Content, Packed};
use crate::message::Part;

/// Which bodies are compressed, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packing {
    pub(crate) kind: Compression,
    pub(crate) level: u32,
    /// Bodies from so many bytes on.
    pub(crate) from_bytes: usize,
}

impl Default for Packing {
    /// As Java's: `compressMsgBodyOverHowmuch`, `rocketmq.message.compressLevel`.
    fn default() -> Self {
        Self { kind: Compression::Zlib, level: 5, from_bytes: 4096 }
    }
}

impl Packing {
    /// The compressed body of a message, if it is to be compressed and gets smaller by it.
    ///
    /// Batches that a caller makes are not compressed, as in Java. A reply is at the most with zlib:
    /// requesters before 5.0 read nothing else.
    pub(crate) fn pack(&self, content: &Content) -> Option<Packed> {
        let first = &content.first;
        let body = first.body();
        if body.len() < self.from_bytes || !content.others().is_empty() {
            return None;
        }
        let kind = match first.part() {
            Part::Reply(_) => Compression::Zlib,
            Part::None | Part::Transaction | Part::Request(_) => self.kind,
        };
        let body = kind.compress(body, self.level)?;
        Some(Packed { body, sys_flag: kind.sys_flag() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Batch, Message};

    #[test]
    fn what_is_compressed_and_what_is_not() {
        let packing = Packing::default();
        let pack = |message: Message| packing.pack(&message.into());
        let long = || Message::new("t", vec![b'x'; 4096]);
        let packed = pack(long()).unwrap();
        assert!(packed.body.len() < 100);
        assert_eq!(packed.sys_flag, 0x301);
        assert!(pack(Message::new("t", vec![b'x'; 4095])).is_none(), "too short");
        let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(5000).collect();
        assert!(pack(Message::new("t", noise)).is_none(), "it does not get smaller");
        let made = Content::of_batch(Batch::from(vec![long(), long()])).unwrap();
        assert!(packing.pack(&made).is_none(), "a batch");
        let never = Packing { from_bytes: usize::MAX, ..packing };
        assert!(never.pack(&long().into()).is_none());
    }
}
