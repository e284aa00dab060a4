//! Which connections may stay: there is a fixed number of places, and an address has a share of
//! them.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;
use tokio::sync::Notify;
use tokio::time::Instant;

/// All places.
#[derive(Debug)]
pub(crate) struct Seats {
    most: usize,
    /// How many connections an address may have; addresses of this machine have no share.
    share: usize,
    begun: Instant,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    seats: FxHashMap<u64, Arc<Place>>,
}

#[derive(Debug)]
struct Place {
    address: IpAddr,
    /// When something was last heard, in ms since the beginning.
    heard_ms: AtomicU64,
    wanted: Notify,
}

/// A place of one connection. It is free once this is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    number: u64,
    place: Arc<Place>,
}

impl Seats {
    pub(crate) fn new(most: usize, share: usize) -> Self {
        Self { most, share, begun: Instant::now(), taken: Mutex::default() }
    }

    /// A place for a connection from `address`; `None` when that has its share already. When all
    /// are taken, another connection loses its place.
    pub(crate) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Seat> {
        let address = holder(address);
        let mut taken = self.lock();
        let of_address = taken.seats.values().filter(|place| place.address == address).count();
        if !address.is_loopback() && of_address >= self.share {
            return None;
        }
        if taken.seats.len() >= self.most {
            taken.send_away_one();
        }
        let heard_ms = AtomicU64::new(self.now_ms());
        let place = Arc::new(Place { address, heard_ms, wanted: Notify::new() });
        let number = taken.next;
        taken.next += 1;
        taken.seats.insert(number, Arc::clone(&place));
        drop(taken);
        Some(Seat { seats: Arc::clone(self), number, place })
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        // No code that can panic runs under the lock.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Sends away the connection that has been silent for longest, of the address that has most.
    fn send_away_one(&mut self) {
        let places = self.seats.iter().map(|(number, place)| {
            (*number, place.address, place.heard_ms.load(Ordering::Relaxed))
        });
        if let Some(number) = longest_silent_of_most(&places.collect::<Vec<_>>())
            && let Some(place) = self.seats.remove(&number)
        {
            place.wanted.notify_one();
        }
    }
}

/// Which place is given up first, of places by number, address and the time when they last sent anything.
fn longest_silent_of_most(places: &[(u64, IpAddr, u64)]) -> Option<u64> {
    let mut counts = FxHashMap::<IpAddr, usize>::default();
    for (_, address, _) in places {
        *counts.entry(*address).or_default() += 1;
    }
    let most = counts.values().max()?;
    let of_most = places.iter().filter(|(_, address, _)| counts.get(address) == Some(most));
    of_most.min_by_key(|(number, _, heard)| (*heard, *number)).map(|(number, ..)| *number)
}

/// Who has an address: of IPv6 a whole network of 64 bits.
fn holder(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(ip) if !ip.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64))
        }
        ip => ip,
    }
}

impl Seat {
    /// Something has come from the connection.
    pub(crate) fn heard(&self) {
        self.place.heard_ms.store(self.seats.now_ms(), Ordering::Relaxed);
    }

    /// Waits until another connection needs the place.
    pub(crate) async fn wanted(&self) {
        self.place.wanted.notified().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.lock().seats.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn the_longest_silent_of_the_address_that_has_most_goes_first() {
        let places = |places: &[(u64, &str, u64)]| {
            places.iter().map(|(n, address, heard)| (*n, ip(address), *heard)).collect::<Vec<_>>()
        };
        for (what, taken, expected) in [
            ("nobody", vec![], None),
            ("one", vec![(7, "10.0.0.1", 5)], Some(7)),
            (
                "an older one of an address with few stays",
                vec![(1, "10.0.0.1", 0), (2, "10.0.0.2", 9), (3, "10.0.0.2", 8)],
                Some(3),
            ),
            ("the longest silent of all alike", vec![(1, "::1", 3), (2, "10.0.0.2", 2)], Some(2)),
        ] {
            assert_eq!(longest_silent_of_most(&places(&taken)), expected, "{what}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_address_takes_its_share_and_no_more_and_all_places_are_never_gone() {
        let seats = Arc::new(Seats::new(6, 3));
        let mut many: Vec<_> =
            (0..3).map(|_| seats.take(ip("10.0.0.1")).expect("a seat")).collect();
        for address in ["10.0.0.1", "::ffff:10.0.0.1"] {
            assert!(seats.take(ip(address)).is_none(), "{address} has its share");
        }
        tokio::time::advance(Duration::from_secs(1)).await;
        many[0].heard();
        let local: Vec<_> = (0..3).map(|_| seats.take(ip("127.0.0.1")).expect("a seat")).collect();
        tokio::time::advance(Duration::from_secs(1)).await;
        many[2].heard();
        // All are taken now.
        let _late = seats.take(ip("10.0.0.2")).expect("a seat");
        many[1].wanted().await;
        for kept in [&many[0], &many[2], &local[0], &local[1], &local[2]] {
            let wanted = tokio::time::timeout(Duration::from_secs(1), kept.wanted()).await;
            assert!(wanted.is_err(), "another client was sent away");
        }
        // Its end frees nothing that another connection has by now.
        drop(many.remove(1));
        assert_eq!(seats.lock().seats.len(), 6);
        drop((many, local));
        assert_eq!(seats.lock().seats.len(), 1);
    }

    #[test]
    fn those_of_this_machine_have_no_share_and_a_network_of_ipv6_is_one_address() {
        let seats = Arc::new(Seats::new(100, 2));
        let local: Vec<_> = ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"]
            .into_iter()
            .flat_map(|address| [address; 5])
            .map(|address| seats.take(ip(address)))
            .collect();
        assert!(local.iter().all(Option::is_some));
        let _two = [seats.take(ip("2001:db8::1")), seats.take(ip("2001:db8::2"))];
        assert!(seats.take(ip("2001:db8::3")).is_none());
        assert!(seats.take(ip("2001:db8:0:1::3")).is_some());
    }
}
