//! Finding the frames in what has been read.

/// Length of the prefix: the frame's length and the header word.
const PREFIX: usize = 8;

/// One frame of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    /// Whether the header is JSON.
    pub(crate) is_json: bool,
    pub(crate) header: &'a [u8],
    pub(crate) body: &'a [u8],
    /// All of it, the prefix included.
    pub(crate) whole: &'a [u8],
}

/// Takes the first frame off `buffer`, when it is there as a whole. A prefix that cannot be is an
/// error.
pub(crate) fn next(buffer: &[u8]) -> Result<Option<Frame<'_>>, Impossible> {
    let Some(prefix) = buffer.first_chunk::<PREFIX>() else { return Ok(None) };
    let [l0, l1, l2, l3, encoding, h0, h1, h2] = *prefix;
    let length = u32::from_be_bytes([l0, l1, l2, l3]) as usize + 4;
    let header_end = PREFIX + u32::from_be_bytes([0, h0, h1, h2]) as usize;
    if length > 1 << 24 {
        return Err(Impossible);
    }
    let Some(whole) = buffer.get(..length) else { return Ok(None) };
    let (Some(header), Some(body)) = (whole.get(PREFIX..header_end), whole.get(header_end..))
    else {
        return Err(Impossible);
    };
    Ok(Some(Frame { is_json: encoding == 0, header, body, whole }))
}

/// The prefix of a frame that cannot be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Impossible;

/// How many messages the body of a batch has. Each entry begins with its length.
pub(crate) fn messages_of_batch(mut body: &[u8]) -> u64 {
    let mut messages = 0;
    while let Some(length) = body.first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let Some(rest) = body.get(length.max(4)..) else { break };
        body = rest;
        messages += 1;
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::BytesMut;
    use posthaste_protocol::batch::put_entry;

    fn frame(header: &[u8], body: &[u8]) -> Vec<u8> {
        let mut frame = ((4 + header.len() + body.len()) as u32).to_be_bytes().to_vec();
        frame.extend((header.len() as u32).to_be_bytes());
        frame.extend(header);
        frame.extend(body);
        frame
    }

    #[test]
    fn frames_come_off_one_by_one_and_a_cut_one_waits() {
        let bytes = [frame(b"{}", b"body"), frame(b"{\"code\":1}", b"")].concat();
        let first = next(&bytes).unwrap().unwrap();
        assert_eq!((first.header, first.body, first.is_json), (&b"{}"[..], &b"body"[..], true));
        let rest = &bytes[first.whole.len()..];
        assert_eq!(next(rest).unwrap().unwrap().header, b"{\"code\":1}");
        (0..rest.len()).for_each(|cut| assert_eq!(next(&rest[..cut]), Ok(None)));
    }

    #[test]
    fn a_header_longer_than_its_frame_is_refused() {
        let mut bytes = frame(b"{}", b"");
        bytes[7] = 200;
        assert_eq!(next(&bytes), Err(Impossible));
    }

    #[test]
    fn a_batch_is_counted_by_walking_it() {
        let mut body = BytesMut::new();
        (0..32).for_each(|n| put_entry(&mut body, 0, &vec![b'x'; n], "A\u{1}b\u{2}"));
        assert_eq!(messages_of_batch(&body), 32);
        assert_eq!(messages_of_batch(&body[..body.len() - 1]), 31);
        assert_eq!(
            messages_of_batch(&[0; 8]),
            2,
            "an entry of length 0 ends the walk all the same"
        );
    }
}
