//! Cuts a stream of bytes into records at a delimiter.

use std::io::{self, Read};

use bytes::{Bytes, BytesMut};
use memchr::memmem::Finder;

/// Asked from the reader at a time. A pipe holds as much on Linux.
const CHUNK: usize = 64 * 1024;

/// A record, or why there is none.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// The bytes between two delimiters.
    Record(Bytes),
    /// A record longer than the limit. Its bytes were dropped as they came.
    TooLong,
}

/// Cuts a stream into records. Holds one chunk, or one record when that is longer, and never more
/// than the limit.
pub(crate) struct Splitter<R> {
    reader: R,
    delimiter: Finder<'static>,
    limit: usize,
    buffer: BytesMut,
    /// Bytes of `buffer` that are known to hold no start of a delimiter.
    searched: usize,
    /// The record at the front of the buffer is too long, and its end was not seen yet.
    discarding: bool,
    ended: bool,
}

impl<R: Read> Splitter<R> {
    pub(crate) fn new(reader: R, delimiter: &[u8], limit: usize) -> Self {
        Self {
            reader,
            delimiter: Finder::new(delimiter).into_owned(),
            limit,
            buffer: BytesMut::new(),
            searched: 0,
            discarding: false,
            ended: false,
        }
    }

    /// Reads once, and waits for at least a byte. `false` at the end of the stream.
    pub(crate) fn fill(&mut self) -> io::Result<bool> {
        let filled = self.buffer.len();
        self.buffer.resize(filled + CHUNK, 0);
        let read = loop {
            match self.reader.read(self.buffer.get_mut(filled..).unwrap_or_default()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result,
            }
        };
        self.buffer.truncate(filled + read.as_ref().map_or(0, |n| *n));
        self.ended = read? == 0;
        Ok(!self.ended)
    }

    /// The next record that is whole. At the end of the stream also what no delimiter follows.
    pub(crate) fn next_piece(&mut self) -> Option<Piece> {
        let unsearched = self.buffer.get(self.searched..).unwrap_or_default();
        if let Some(at) = self.delimiter.find(unsearched) {
            let record = self.buffer.split_to(self.searched + at);
            let _delimiter = self.buffer.split_to(self.delimiter.needle().len());
            self.searched = 0;
            return Some(self.piece(record));
        }
        if self.ended {
            self.searched = 0;
            let rest = self.buffer.split();
            let nothing_left = rest.is_empty() && !self.discarding;
            return (!nothing_left).then(|| self.piece(rest));
        }
        // The delimiter may have come in part: look at its last bytes again next time.
        self.searched = self.buffer.len().saturating_sub(self.delimiter.needle().len() - 1);
        if self.discarding || self.searched > self.limit {
            self.discarding = true;
            let _dropped = self.buffer.split_to(self.searched);
            self.searched = 0;
        }
        None
    }

    fn piece(&mut self, record: BytesMut) -> Piece {
        let too_long = std::mem::take(&mut self.discarding) || record.len() > self.limit;
        if too_long { Piece::TooLong } else { Piece::Record(record.freeze()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes in pieces of a given size.
    struct Trickle<'a>(&'a [u8], usize);

    impl Read for Trickle<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(self.0.len()).min(out.len());
            out[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    fn split(input: &[u8], step: usize, delimiter: &[u8], limit: usize) -> Vec<Option<String>> {
        let mut splitter = Splitter::new(Trickle(input, step), delimiter, limit);
        let mut records = Vec::new();
        loop {
            let more = splitter.fill().unwrap();
            while let Some(piece) = splitter.next_piece() {
                records.push(match piece {
                    Piece::Record(bytes) => Some(String::from_utf8(bytes.to_vec()).unwrap()),
                    Piece::TooLong => None,
                });
            }
            if !more {
                return records;
            }
        }
    }

    fn some(records: &[&str]) -> Vec<Option<String>> {
        records.iter().map(|record| Some((*record).to_owned())).collect()
    }

    #[test]
    fn the_size_of_the_reads_does_not_matter() {
        for step in 1..20 {
            assert_eq!(
                split(b"a\nbc\n\nd", step, b"\n", 100),
                some(&["a", "bc", "", "d"]),
                "step {step}"
            );
            assert_eq!(split(b"a\nb\n", step, b"\n", 100), some(&["a", "b"]), "step {step}");
            assert_eq!(split(b"", step, b"\n", 100), some(&[]), "step {step}");
            assert_eq!(split(b"\n", step, b"\n", 100), some(&[""]), "step {step}");
        }
    }

    #[test]
    fn a_delimiter_of_several_bytes_that_nearly_occurs() {
        for step in 1..20 {
            assert_eq!(
                split(b"a<-b<-->c<->d<-", step, b"<->", 100),
                some(&["a<-b<-->c", "d<-"]),
                "step {step}"
            );
            assert_eq!(split(b"aab", step, b"ab", 100), some(&["a"]), "step {step}");
        }
    }

    #[test]
    fn a_record_over_the_limit_is_dropped_and_the_next_is_whole() {
        for step in 1..20 {
            let records = split(b"1234\n12345\n123456789012\nok\n123456", step, b"\n", 4);
            assert_eq!(
                records,
                vec![Some("1234".into()), None, None, Some("ok".into()), None],
                "step {step}"
            );
        }
    }

    #[test]
    fn an_endless_record_takes_no_memory() {
        let mut splitter = Splitter::new(io::repeat(b'x').take(50 << 20), b"\n", 1 << 20);
        while splitter.fill().unwrap() {
            assert_eq!(splitter.next_piece(), None);
            assert!(splitter.buffer.capacity() < 4 << 20, "{} bytes", splitter.buffer.capacity());
        }
        assert_eq!(splitter.next_piece(), Some(Piece::TooLong));
        assert_eq!(splitter.next_piece(), None);
    }
}
