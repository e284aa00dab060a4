//! Sends as a broker reads them: one after another, each like the one before or not.

use bytes::Bytes;
use posthaste_protocol::{Frame, HeaderEncoding, ReceivedSend, SendReader};
use proptest::collection::vec;
use proptest::prelude::*;

fn frame(header: &[u8]) -> Frame {
    let (header, body) = (Bytes::copy_from_slice(header), Bytes::from_static(b"body"));
    Frame { encoding: HeaderEncoding::Json, header, body }
}

/// A send as clients write it.
fn send() -> impl Strategy<Value = String> {
    let fields = prop::sample::select(vec![
        r#""a":"g","b":"<t>","c":"TBW102","d":"4","e":"<q>","f":"0","g":"<g>","h":"0","i":"<i>","j":"0","k":"false","m":"false","n":"a""#,
        r#""a":"g","b":"<t>","c":"TBW102","d":"4","e":"<q>","f":"0","g":"<g>","h":"0","i":"<i>","j":"0","k":"false","m":"true""#,
        r#""Signature":"<i>","n":"a","m":"false","l":"16","k":"true","j":"1","i":"<i>","h":"7","g":"<g>","f":"1","e":"<q>","d":"<q>","c":"","b":"<t>","a":"<i>""#,
        r#""b":"<t>","e":"<q>","f":"0","g":"<g>","h":"0","opaque":"<q>","e":"<q>""#,
        r#""a":"\u0041","b":"<t>","e":"<q>","f":"0","g":"<g>","h":"0","i":"<i>","o":"x\"opaque\":5""#,
    ]);
    let texts = ["", "WAIT\\u0001true\\u0002", "x\\\"y\\\\", "é", "\\ud83d\\ude00", "plain"];
    let own = (any::<i32>(), any::<u8>(), any::<i64>(), prop::sample::select(texts.to_vec()));
    let codes = prop::sample::select(vec![310, 310, 310, 320, 10]);
    let flags = prop::sample::select(vec![0, 0, 0, 2, 1]);
    (fields, own, codes, flags, prop::sample::select(vec!["t", "t", "u"])).prop_map(
        |(fields, (opaque, queue, born, text), code, flag, topic)| {
            let fields = fields.replace("<q>", &queue.to_string()).replace("<t>", topic);
            let fields = fields.replace("<g>", &born.to_string()).replace("<i>", text);
            format!(r#"{{"code":{code},"extFields":{{{fields}}},"flag":{flag},"language":"RUST","opaque":{opaque},"version":513}}"#)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    /// Whatever came before, and whether or not it looks like that.
    #[test]
    fn one_after_another(sends in vec((send(), any::<prop::sample::Index>(), any::<u8>()), 1..12)) {
        let mut reader = SendReader::default();
        for (send, at, byte) in &sends {
            let mut header = send.clone().into_bytes();
            let whole = frame(&header);
            prop_assert_eq!(reader.peek(&whole), ReceivedSend::peek(&whole));
            let empty = Frame { body: Bytes::new(), ..whole.clone() };
            prop_assert_eq!(reader.peek(&empty), None);
            let place = at.index(header.len());
            header[place] = *byte;
            let other = frame(&header);
            prop_assert_eq!(reader.peek(&other), ReceivedSend::peek(&other));
        }
    }
}
