//! Compressing bodies before they are sent.

use posthaste_protocol::Compression;

use crate::Message;
use crate::message::Part;
use crate::message::content::{Content, Packed};

/// Which bodies are compressed, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packing {
    pub(crate) kind: Compression,
    pub(crate) level: u32,
    /// Bodies of this many bytes and more.
    pub(crate) from_bytes: usize,
}

impl Default for Packing {
    /// As Java's: `compressMsgBodyOverHowmuch`, `rocketmq.message.compressLevel`.
    fn default() -> Self {
        Self { kind: Compression::Zlib, level: 5, from_bytes: 4096 }
    }
}

impl Packing {
    /// The compressed bodies of a message or a batch, if one is to be compressed and they get
    /// smaller by it. All bodies of a batch are compressed, or none, since one flag says so of all;
    /// Java leaves batches as they are. A reply is compressed with zlib only: requesters before 5.0
    /// read nothing else.
    pub(crate) fn pack(&self, content: &Content) -> Option<Packed> {
        if content.messages().all(|message| message.body().len() < self.from_bytes) {
            return None;
        }
        let kind = match content.first.part() {
            Part::Reply(_) => Compression::Zlib,
            Part::None | Part::Transaction | Part::Request(_) => self.kind,
        };
        let pack = |message: &Message| kind.compress_anyway(message.body(), self.level);
        let body = pack(&content.first)?;
        let others = content.others().iter().map(pack).collect::<Option<_>>()?;
        let packed = Packed { body, others, sys_flag: kind.sys_flag() };
        (packed.bytes() < content.body_bytes()).then_some(packed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Batch;

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
        let never = Packing { from_bytes: usize::MAX, ..packing };
        assert!(never.pack(&long().into()).is_none());
    }

    #[test]
    fn bodies_of_a_batch_are_compressed_all_or_none() {
        let packing = Packing::default();
        let pack = |bodies: Vec<Vec<u8>>| {
            let messages: Vec<_> = bodies.into_iter().map(|body| Message::new("t", body)).collect();
            packing.pack(&Content::of_batch(Batch::from(messages)).unwrap())
        };
        let (long, short) = (vec![b'x'; 4096], vec![b'y'; 7]);
        let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(5000).collect();
        let packed = pack(vec![short.clone(), long.clone(), noise.clone()]).unwrap();
        assert_eq!((packed.others.len(), packed.sys_flag), (2, 0x301));
        assert!(packed.bytes() < 5200);
        let bodies = [&packed.body, &packed.others[0], &packed.others[1]];
        for (packed, body) in bodies.into_iter().zip([&short, &long, &noise]) {
            let unpacked = posthaste_protocol::compression::decompress(0x301, packed, 1 << 20);
            assert_eq!(unpacked.unwrap(), *body);
        }
        assert!(pack(vec![short.clone(), vec![b'x'; 4095]]).is_none(), "none is long enough");
        assert!(pack(vec![noise, short]).is_none(), "together they do not get smaller");
    }
}
