//! Which of the requests that fit a rule are hit.

use std::time::Duration;

/// Which requests are hit, by their numbers among those that fit.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Which {
    /// At most this many.
    pub(crate) first: Option<u64>,
    /// None of the first ones.
    pub(crate) after: u64,
    /// Every n-th.
    pub(crate) every: Option<u64>,
    /// With a probability, by a seed.
    pub(crate) probability: Option<(f64, u64)>,
    /// How long requests fit at all.
    pub(crate) time: Option<Duration>,
}

impl Which {
    /// Whether the request with this number is hit, the first one being 1, when `hits` before it were.
    pub(crate) fn hits(&self, number: u64, hits: u64) -> bool {
        let Some(number @ 1..) = number.checked_sub(self.after) else { return false };
        let is_left = self.first.is_none_or(|first| hits < first);
        let is_due = self.every.is_none_or(|every| every > 0 && number.is_multiple_of(every));
        let is_drawn = self.probability.is_none_or(|(most, seed)| draw(seed, number) < most);
        is_left && is_due && is_drawn
    }

    /// A time that is up to `jitter` shorter or longer, by the number of the request and the seed.
    pub(crate) fn jittered(&self, time: Duration, jitter: Duration, number: u64) -> Duration {
        let seed = self.probability.map_or(0, |(_, seed)| seed);
        // Another draw than whether the request is hit, or those that are would be the short ones.
        let share = draw(!seed, number);
        time.saturating_sub(jitter) + (jitter * 2).mul_f64(share)
    }
}

/// A number from 0 to 1, the same for the same seed and request in every version (splitmix64).
fn draw(seed: u64, number: u64) -> f64 {
    let mut bits = seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^= bits >> 31;
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The numbers that are hit of this many requests.
    fn hit(which: &Which, requests: u64) -> Vec<u64> {
        let mut hits = Vec::new();
        for number in 1..=requests {
            if which.hits(number, hits.len() as u64) {
                hits.push(number);
            }
        }
        hits
    }

    #[test]
    fn which_are_hit() {
        let all = Which::default();
        for (which, hits) in [
            (all.clone(), vec![1, 2, 3, 4, 5, 6, 7]),
            (Which { first: Some(3), ..all.clone() }, vec![1, 2, 3]),
            (Which { after: 5, ..all.clone() }, vec![6, 7]),
            (Which { every: Some(3), ..all.clone() }, vec![3, 6]),
            (Which { after: 1, every: Some(2), first: Some(2), ..all.clone() }, vec![3, 5]),
            (Which { probability: Some((0.0, 1)), ..all.clone() }, vec![]),
            (Which { probability: Some((1.0, 1)), first: Some(1), ..all.clone() }, vec![1]),
        ] {
            assert_eq!(hit(&which, 7), hits, "{which:?}");
        }
    }

    #[test]
    fn a_probability_is_one() {
        for (seed, probability) in [(0, 0.01), (1, 0.5), (7, 0.9)] {
            let which = Which { probability: Some((probability, seed)), ..Which::default() };
            let share = hit(&which, 100_000).len() as f64 / 100_000.0;
            assert!((share - probability).abs() < 0.01, "{share} in place of {probability}");
        }
        // Known for ever: what a seed means does not change with a version.
        let which = Which { probability: Some((0.25, 42)), ..Which::default() };
        assert_eq!(hit(&which, 30), [2, 5, 7, 11, 16, 17, 19, 22, 25]);
    }

    #[test]
    fn jitter_is_even_and_the_same_for_the_same_seed() {
        let ms = Duration::from_millis;
        let times = |seed| {
            let which = Which { probability: Some((1.0, seed)), ..Which::default() };
            (1..=10_000).map(|n| which.jittered(ms(200), ms(50), n)).collect::<Vec<_>>()
        };
        let seven = times(7);
        assert!(seven.iter().all(|time| (ms(150)..=ms(250)).contains(time)));
        for part in 0..10 {
            let (from, to) = (ms(150 + part * 10), ms(160 + part * 10));
            let share = seven.iter().filter(|time| (from..to).contains(*time)).count();
            assert!((900..=1_100).contains(&share), "{share} of 10,000 in {from:?} to {to:?}");
        }
        assert_eq!(seven, times(7));
        assert_ne!(seven, times(8));
        // Known for ever: what a seed means does not change with a version.
        let micros: Vec<_> = seven.iter().take(3).map(Duration::as_micros).collect();
        assert_eq!(micros, [203_510, 211_493, 163_410]);
        assert_eq!(Which::default().jittered(ms(5), ms(0), 1), ms(5));
    }

    proptest! {
        #[test]
        fn a_seed_decides_alone(
            seed: u64, other: u64, p in 0.2..0.8, after in 0..5_u64, every in 1..4_u64,
        ) {
            let which = |seed| Which {
                after,
                every: Some(every),
                probability: Some((p, seed)),
                ..Which::default()
            };
            prop_assert_eq!(hit(&which(seed), 1_000), hit(&which(seed), 1_000));
            prop_assume!(seed != other);
            prop_assert_ne!(hit(&which(seed), 1_000), hit(&which(other), 1_000));
        }
    }
}
