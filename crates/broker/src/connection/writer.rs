//! What leaves on a connection: what its outbox has, piece by piece, as fast as rules let it.

use std::io;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncWriteExt as _, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use super::Ending;
use crate::outbox::{End, Outbox, Piece};

/// Where a connection's bytes go.
pub(super) enum Writer<'a> {
    Plain(&'a TcpStream),
    Tls(&'a mut WriteHalf<TlsStream<TcpStream>>),
}

impl Writer<'_> {
    /// Writes until nothing comes any more, or the connection ends.
    pub(super) async fn run(mut self, outbox: &Outbox) -> Ending {
        while let Some(piece) = outbox.take().await {
            let written = match piece {
                Piece::Frames(frames) => match outbox.faults().write_rate() {
                    None => self.write(frames).await,
                    Some(_) => self.trickle(frames, || outbox.faults().write_rate()).await,
                },
                Piece::Trickle(frame, rate) => self.trickle(frame, || Some(rate)).await,
                Piece::End(End::CloseAfter(time)) => {
                    tokio::time::sleep(time).await;
                    return Ending::ByRule(End::Close);
                }
                Piece::End(end) => return Ending::ByRule(end),
            };
            if let Err(error) = written {
                return error.into();
            }
        }
        if let Self::Tls(writer) = self {
            // Says that nothing was cut off; a peer that is gone need not hear it.
            let _ = writer.shutdown().await;
        }
        Ending::Stopped
    }

    /// Writes at a rate, as long as there is one.
    async fn trickle(
        &mut self,
        mut frame: BytesMut,
        rate: impl Fn() -> Option<u32>,
    ) -> io::Result<()> {
        while !frame.is_empty() {
            let part = match rate() {
                Some(rate) => {
                    let portion = Portion::at(rate);
                    tokio::time::sleep(portion.pause).await;
                    frame.split_to(portion.length.min(frame.len()))
                }
                None => std::mem::take(&mut frame),
            };
            self.write(part).await?;
        }
        Ok(())
    }

    async fn write(&mut self, mut frames: BytesMut) -> io::Result<()> {
        match self {
            Self::Tls(writer) => {
                writer.write_all_buf(&mut frames).await?;
                writer.flush().await
            }
            Self::Plain(socket) => {
                while !frames.is_empty() {
                    socket.writable().await?;
                    match socket.try_write(&frames) {
                        Ok(written) => frames.advance(written),
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok(())
            }
        }
    }
}

/// The bytes that go at a time where a rate is kept, and the pause before them.
pub(super) struct Portion {
    pub(super) length: usize,
    pub(super) pause: Duration,
}

impl Portion {
    /// As many bytes a second, in twenty parts or byte by byte.
    pub(super) fn at(bytes_per_second: u32) -> Self {
        let rate = bytes_per_second.max(1);
        let length = (rate / 20).max(1);
        Self {
            length: length as usize,
            pause: Duration::from_secs_f64(f64::from(length) / f64::from(rate)),
        }
    }
}
