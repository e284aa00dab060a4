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

impl fmt::Display for UniqueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_ip(f, self.ip)?;
        write!(
            f,
            "{:04X}{:08X}{:08X}{:04X}",
            self.process, self.instance, self.time_ms, self.counter
        )
    }
}

impl fmt::Display for OffsetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_ip(f, self.host.ip())?;
        write!(f, "{:08X}{:016X}", self.host.port(), self.offset)
    }
}

fn write_ip(f: &mut fmt::Formatter<'_>, ip: IpAddr) -> fmt::Result {
    match ip {
        IpAddr::V4(ip) => write!(f, "{:08X}", u32::from(ip)),
        IpAddr::V6(ip) => write!(f, "{:032X}", u128::from(ip)),
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
