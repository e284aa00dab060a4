//! Answers to sends, made once and copied with another number each time.

use std::collections::HashMap;

/// What stands before and after the number of the request.
struct Template {
    before: Vec<u8>,
    after: Vec<u8>,
}

/// The answers to single sends and to batches of each size.
pub(crate) struct Answers {
    of_batches: HashMap<u64, Template>,
}

/// A broker's id of a message.
const OFFSET_MESSAGE_ID: &str = "7F00000100002A9F0000000000000000";

impl Answers {
    pub(crate) fn new() -> Self {
        Self { of_batches: HashMap::new() }
    }

    /// Appends the answer to a send of so many messages, with everything in it that a 5.x broker
    /// says; a batch gets one id for each message, as from a real broker.
    pub(crate) fn put(&mut self, out: &mut Vec<u8>, opaque: i32, messages: u64) {
        let template = self.of_batches.entry(messages).or_insert_with(|| Template::of(messages));
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(opaque).as_bytes();
        let header = template.before.len() + digits.len() + template.after.len();
        out.extend_from_slice(&(header as u32 + 4).to_be_bytes());
        out.extend_from_slice(&(header as u32).to_be_bytes());
        out.extend_from_slice(&template.before);
        out.extend_from_slice(digits);
        out.extend_from_slice(&template.after);
    }
}

impl Template {
    fn of(messages: u64) -> Self {
        let ids = vec![OFFSET_MESSAGE_ID; messages.max(1) as usize].join(",");
        let before = format!(
            concat!(
                r#"{{"code":0,"extFields":{{"queueId":"0","transactionId":"FD0000000000000000000000000000022E475FFD2B276D19D0120000","#,
                r#""msgId":"{}","TRACE_ON":"true","MSG_REGION":"DefaultRegion","queueOffset":"0"}},"flag":1,"language":"JAVA","opaque":"#
            ),
            ids
        );
        let after = r#","serializeTypeCurrentRPC":"JSON","version":513}"#;
        Self { before: before.into_bytes(), after: after.as_bytes().to_vec() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use posthaste_protocol::request::SendAnswer;
    use posthaste_protocol::{Command, frame::Frame};

    fn read(opaque: i32, messages: u64) -> (Command, SendAnswer) {
        let mut out = Vec::new();
        Answers::new().put(&mut out, opaque, messages);
        let mut bytes = BytesMut::from(&out[..]);
        let frame = Frame::take(&mut bytes, usize::MAX).unwrap().unwrap();
        assert!(bytes.is_empty());
        let command = Command::decode(frame).unwrap();
        let answer = command.read().unwrap();
        (command, answer)
    }

    #[test]
    fn the_answer_has_the_number_of_the_request() {
        for opaque in [0, 7, 1_234_567_890, i32::MAX, -1, i32::MIN] {
            let (command, answer) = read(opaque, 1);
            assert_eq!(command.opaque, opaque);
            assert!(command.is_answer());
            assert_eq!(answer.offset_message_id, OFFSET_MESSAGE_ID);
        }
    }

    #[test]
    fn a_batch_gets_as_many_ids_as_it_has_messages() {
        let (_, answer) = read(1, 32);
        assert_eq!(answer.offset_message_id.split(',').count(), 32);
    }
}
