//! The two ids of a message: the client's and the broker's.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use crate::DecodeError;

/// The id that a client gives a message (property `UNIQ_KEY`; Java: `MessageClientIDSetter`).
///
/// Its text is 32 upper-case hex digits, 56 with an IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UniqueId {
    /// Address of the client's host.
    pub ip: IpAddr,
    /// Low half of the process id.
    pub process: u16,
    /// A number that tells processes with the same id and address apart.
    pub instance: u32,
    /// Milliseconds since the month began.
    pub time_ms: u32,
    /// A counter.
    pub counter: u16,
}

/// The id that a broker gives a stored message: where it lies (`offsetMsgId`).
///
/// Its text is 32 upper-case hex digits, 56 with an IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OffsetId {
    /// Address of the broker.
    pub host: SocketAddr,
    /// Place in the broker's commit log.
    pub offset: i64,
}

/// The text of an id: 32 or 56 upper-case hex digits. Ids with an IPv4 address need no allocation.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct IdText(Digits);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Digits {
    V4(Aligned),
    V6(Box<[u8; 56]>),
}

/// Text is read word by word where it begins at a word.
#[derive(Clone, PartialEq, Eq, Hash)]
#[repr(align(8))]
struct Aligned([u8; 32]);

impl UniqueId {
    /// The id's text.
    pub fn text(&self) -> IdText {
        let rest = u128::from(self.process) << 80
            | u128::from(self.instance) << 48
            | u128::from(self.time_ms) << 16
            | u128::from(self.counter);
        IdText::new(self.ip, rest)
    }
}

impl OffsetId {
    /// The id's text.
    pub fn text(&self) -> IdText {
        let rest = u128::from(self.host.port()) << 64 | u128::from(self.offset.cast_unsigned());
        IdText::new(self.host.ip(), rest)
    }
}

impl IdText {
    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.digits()).unwrap_or_default()
    }

    /// The text's bytes: hex digits.
    pub(crate) fn digits(&self) -> &[u8] {
        match &self.0 {
            Digits::V4(Aligned(digits)) => digits,
            Digits::V6(digits) => &**digits,
        }
    }

    /// Makes it the text of the unique id that comes after this one, where time and counter are counted up
    /// as one number.
    #[inline]
    pub fn count_up(&mut self) {
        let digits: &mut [u8] = match &mut self.0 {
            Digits::V4(Aligned(digits)) => digits,
            Digits::V6(digits) => &mut **digits,
        };
        for digit in digits.iter_mut().rev().take(12) {
            *digit = match *digit {
                b'9' => b'A',
                b'F' => b'0',
                below => below + 1,
            };
            if *digit != b'0' {
                return;
            }
        }
    }

    /// The digits of an address and of the 12 bytes that follow it in both kinds of id.
    #[inline]
    fn new(ip: IpAddr, rest: u128) -> Self {
        Self(match ip {
            IpAddr::V4(ip) => Digits::V4(Aligned(hex(u128::from(u32::from(ip)) << 96 | rest))),
            IpAddr::V6(ip) => {
                let (address, rest) = (hex(ip.into()), hex(rest));
                // The first eight of the rest are not of it.
                let digits = address.into_iter().chain(rest.into_iter().skip(8));
                let mut all = Box::new([0; 56]);
                all.iter_mut().zip(digits).for_each(|(place, digit)| *place = digit);
                Digits::V6(all)
            }
        })
    }
}

/// 32 hex digits, eight at a time: every message has an id.
#[inline]
fn hex(number: u128) -> [u8; 32] {
    let mut digits = [0; 32];
    let places = digits.as_chunks_mut::<8>().0.iter_mut();
    for (place, word) in places.zip(number.to_be_bytes().as_chunks::<4>().0) {
        *place = eight_digits(u32::from_be_bytes(*word)).to_be_bytes();
    }
    digits
}

/// The eight hex digits of a number.
#[inline]
fn eight_digits(number: u32) -> u64 {
    // Half by half, until each nibble has its own byte.
    let mut nibbles = u64::from(number);
    nibbles = (nibbles << 16 | nibbles) & 0x0000_FFFF_0000_FFFF;
    nibbles = (nibbles << 8 | nibbles) & 0x00FF_00FF_00FF_00FF;
    nibbles = (nibbles << 4 | nibbles) & 0x0F0F_0F0F_0F0F_0F0F;
    // Six more carry into the upper half from ten on; the letters come seven after the digits.
    let letters = (nibbles + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101;
    nibbles + 0x3030_3030_3030_3030 + letters * 7
}

impl fmt::Display for IdText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for IdText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for UniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.text(), f)
    }
}

impl fmt::Display for OffsetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.text(), f)
    }
}

impl FromStr for UniqueId {
    type Err = DecodeError;

    fn from_str(text: &str) -> Result<Self, DecodeError> {
        let (ip, rest) = read_ip(text)?;
        Ok(Self {
            ip,
            process: digits(rest, 0, 4)? as u16,
            instance: digits(rest, 4, 12)? as u32,
            time_ms: digits(rest, 12, 20)? as u32,
            counter: digits(rest, 20, 24)? as u16,
        })
    }
}

impl FromStr for OffsetId {
    type Err = DecodeError;

    fn from_str(text: &str) -> Result<Self, DecodeError> {
        let (ip, rest) = read_ip(text)?;
        let port = u16::try_from(digits(rest, 0, 8)?).map_err(|_| not_an_id())?;
        Ok(Self { host: SocketAddr::new(ip, port), offset: digits(rest, 8, 24)? as i64 })
    }
}

/// Splits the address off; 24 digits follow it in both kinds of id.
fn read_ip(text: &str) -> Result<(IpAddr, &str), DecodeError> {
    if !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(not_an_id());
    }
    match text.len() {
        32 => {
            let (ip, rest) = text.split_at(8);
            let ip = u32::from_str_radix(ip, 16).map_err(|_| not_an_id())?;
            Ok((IpAddr::V4(Ipv4Addr::from(ip)), rest))
        }
        56 => {
            let (ip, rest) = text.split_at(32);
            let ip = u128::from_str_radix(ip, 16).map_err(|_| not_an_id())?;
            Ok((IpAddr::V6(Ipv6Addr::from(ip)), rest))
        }
        _ => Err(not_an_id()),
    }
}

fn digits(text: &str, from: usize, to: usize) -> Result<u64, DecodeError> {
    let part = text.get(from..to).ok_or_else(not_an_id)?;
    u64::from_str_radix(part, 16).map_err(|_| not_an_id())
}

fn not_an_id() -> DecodeError {
    DecodeError::Body("not a message id of 32 or 56 hex digits".into())
}
