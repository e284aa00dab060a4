//! One connection: bytes in, bytes out.

use std::io::{self, ErrorKind, Read, Write};

use mio::net::TcpStream;

use crate::answer::Answers;
use crate::glance::Glance;
use crate::route::Routes;
use crate::scan::{self, Frame};

/// How much is read at once.
const CHUNK: usize = 256 * 1024;

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) routes: Routes,
    pub(crate) answers: Answers,
    /// Messages received.
    pub(crate) messages: u64,
}

/// A connection and what is on its way in and out.
pub(crate) struct Conversation {
    pub(crate) stream: TcpStream,
    input: Vec<u8>,
    /// How much of `input` has been read.
    filled: usize,
    output: Vec<u8>,
    /// How much of `output` has been written.
    written: usize,
}

impl Conversation {
    pub(crate) fn new(stream: TcpStream) -> Self {
        let input = vec![0; CHUNK];
        Self { stream, input, filled: 0, output: Vec::with_capacity(CHUNK), written: 0 }
    }

    /// Reads, answers and writes until nothing more can be done; `false` when the connection has
    /// ended. It never stops reading because answers cannot be written: the other side may be
    /// writing too before it reads.
    pub(crate) fn go_on(&mut self, shared: &mut Shared) -> io::Result<bool> {
        self.write()?;
        loop {
            let Some(room) = self.input.get_mut(self.filled..) else { return Ok(false) };
            let room_length = room.len();
            match self.stream.read(room) {
                Ok(0) => return Ok(false),
                Ok(read) => {
                    self.filled += read;
                    self.answer(shared)?;
                    self.write()?;
                    // Less than there was room for: the socket is empty.
                    if read < room_length {
                        return Ok(true);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Answers the whole frames and moves what is left to the front.
    fn answer(&mut self, shared: &mut Shared) -> io::Result<()> {
        let read = self.input.get(..self.filled).unwrap_or_default();
        let mut rest = read;
        while let Some(frame) =
            scan::next(rest).map_err(|_| io::Error::from(ErrorKind::InvalidData))?
        {
            shared.put_answer(&mut self.output, frame);
            rest = rest.get(frame.whole.len()..).unwrap_or_default();
        }
        let (from, left) = (read.len() - rest.len(), rest.len());
        self.input.copy_within(from..self.filled, 0);
        self.filled = left;
        if self.input.len() - left < CHUNK / 2 {
            self.input.resize(self.input.len() * 2, 0);
        }
        Ok(())
    }

    fn write(&mut self) -> io::Result<()> {
        while let Some(rest @ [_, ..]) = self.output.get(self.written..) {
            match self.stream.write(rest) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => self.written += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.output.clear();
        self.written = 0;
        Ok(())
    }
}

impl Shared {
    fn put_answer(&mut self, out: &mut Vec<u8>, frame: Frame<'_>) {
        let glance = if frame.is_json { Glance::at(frame.header) } else { None };
        let Some(glance) = glance.filter(|glance| matches!(glance.code, 10 | 310 | 320)) else {
            return self.routes.answer(out, frame);
        };
        let messages = if glance.is_batch { scan::messages_of_batch(frame.body) } else { 1 };
        self.messages += messages;
        if !glance.is_oneway {
            self.answers.put(out, glance.opaque, messages);
        }
    }
}
