//! Unique message ids (Java: `MessageClientIDSetter`).

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use posthaste_protocol::id::UniqueId;

/// Makes ids that no other process and no other producer of this process makes.
///
/// Java takes the time of each id from the wall clock, so that a clock that steps back repeats
/// ids. Here time and counter are one 48-bit number that starts at the clock's reading and is
/// counted up from there: it never repeats, even if the clock goes back.
#[derive(Debug)]
pub(crate) struct UniqueIds {
    ip: IpAddr,
    process: u16,
    instance: u32,
    /// Milliseconds of the month in the upper 32 bits of 48, a counter in the lower 16.
    next: AtomicU64,
}

impl UniqueIds {
    pub(crate) fn new(ip: IpAddr) -> Self {
        /// The longest month in ms fits 32 bits; a start inside of it is all that is needed.
        const MONTH_MS: u128 = 31 * 24 * 3600 * 1000;
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time_ms = (since_1970.as_millis() % MONTH_MS) as u64;
        Self {
            ip,
            process: std::process::id() as u16,
            instance: fastrand::u32(..),
            next: AtomicU64::new(time_ms << 16),
        }
    }

    /// Makes this many ids that follow each other; gives the first.
    pub(crate) fn next(&self, count: usize) -> UniqueId {
        let number = self.next.fetch_add(count as u64, Ordering::Relaxed);
        let Self { ip, process, instance, .. } = *self;
        let none = UniqueId { ip, process, instance, time_ms: 0, counter: 0 };
        later(none, number)
    }
}

/// The id that comes this many after this one.
fn later(id: UniqueId, steps: u64) -> UniqueId {
    let number = (u64::from(id.time_ms) << 16 | u64::from(id.counter)) + steps;
    UniqueId { time_ms: (number >> 16) as u32, counter: number as u16, ..id }
}

/// The address that this host uses towards others, else loopback. Nothing is sent to find it.
pub(crate) fn own_ip() -> IpAddr {
    let ip = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        // A UDP connect only picks a route; the address is from the documentation range.
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        socket.local_addr()
    });
    ip.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_do_not_repeat_over_the_counter_s_end() {
        let ids = UniqueIds::new(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let made: HashSet<String> = (0..200_000).map(|_| ids.next(1).to_string()).collect();
        assert_eq!(made.len(), 200_000);
        assert!(made.iter().all(|id| id.len() == 32 && id.starts_with("7F000001")));
        // The ids of a batch are made at once.
        let first = ids.next(100_000);
        assert_eq!(later(first, 100_000), ids.next(1));
    }

    /// Texts are counted up as ids are, up to the last one of all.
    #[test]
    fn the_text_counts_as_the_id_does() {
        let v6 = IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, 1u16]);
        for ip in [IpAddr::V4(Ipv4Addr::LOCALHOST), v6] {
            for (time_ms, counter) in
                [(0, 0), (9, 0xffff), (0x000f_ffff, 0xfff0), (u32::MAX, 0xffff)]
            {
                let first = UniqueId { ip, process: 0xffff, instance: 7, time_ms, counter };
                let mut text = first.text();
                for steps in 1..40 {
                    text.count_up();
                    assert_eq!(text, later(first, steps).text());
                }
            }
        }
    }
}
