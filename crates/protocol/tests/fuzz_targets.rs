//! The fuzz targets on the stable compiler: random bytes, and valid input with faults.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may panic")]

mod support;
#[path = "targets/mod.rs"]
mod targets;

use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use support::seeds;

/// Valid input of each target.
static SEEDS: LazyLock<Vec<Vec<Vec<u8>>>> =
    LazyLock::new(|| targets::ALL.iter().map(|(name, _)| seeds(name)).collect());

/// What may happen to valid input.
#[derive(Debug, Clone)]
enum Fault {
    Set(usize, u8),
    Flip(usize, u8),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    Repeat(usize, usize),
    Cut(usize),
    Splice(usize, usize),
}

fn fault() -> impl Strategy<Value = Fault> {
    let place = any::<usize>;
    prop_oneof![
        (place(), prop_oneof![Just(0), Just(0xff), Just(0x7f), Just(0x80), any::<u8>()])
            .prop_map(|(at, byte)| Fault::Set(at, byte)),
        (place(), 0..8u8).prop_map(|(at, bit)| Fault::Flip(at, 1 << bit)),
        (place(), vec(any::<u8>(), 1..6)).prop_map(|(at, bytes)| Fault::Insert(at, bytes)),
        (place(), 1..20usize).prop_map(|(at, length)| Fault::Remove(at, length)),
        (place(), 1..60usize).prop_map(|(at, length)| Fault::Repeat(at, length)),
        place().prop_map(Fault::Cut),
        (place(), place()).prop_map(|(seed, at)| Fault::Splice(seed, at)),
    ]
}

fn apply(fault: &Fault, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    let length = bytes.len();
    let place = |at: usize| at % (length + 1);
    match fault {
        Fault::Set(at, byte) => bytes.iter_mut().skip(place(*at)).take(1).for_each(|b| *b = *byte),
        Fault::Flip(at, bit) => bytes.iter_mut().skip(place(*at)).take(1).for_each(|b| *b ^= bit),
        Fault::Insert(at, more) => drop(bytes.splice(place(*at)..place(*at), more.iter().copied())),
        Fault::Remove(at, count) => {
            let start = place(*at);
            bytes.drain(start..length.min(start + count));
        }
        Fault::Repeat(at, count) => {
            let start = place(*at);
            bytes.extend_from_within(start..length.min(start + count));
        }
        Fault::Cut(at) => bytes.truncate(place(*at)),
        Fault::Splice(seed, at) => {
            let other = &seeds[seed % seeds.len()];
            bytes.truncate(place(*at));
            bytes.extend(&other[at % (other.len() + 1)..]);
        }
    }
}

#[test]
fn seeds_are_many() {
    let counts: Vec<_> =
        targets::ALL.iter().zip(&*SEEDS).map(|((name, _), seeds)| (*name, seeds.len())).collect();
    assert_eq!(
        counts,
        [
            ("frame", 641),
            ("json_header", 549),
            ("binary_header", 549),
            ("send_answer", 94),
            ("route_document", 46),
            ("properties", 52),
            ("batch_body", 3),
            ("stored_record", 18)
        ]
    );
    for ((_, target), seeds) in targets::ALL.iter().zip(&*SEEDS) {
        seeds.iter().for_each(|seed| target(seed));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_bytes(bytes in vec(any::<u8>(), 0..300)) {
        targets::ALL.iter().for_each(|(_, target)| target(&bytes));
    }

    /// Bytes that mean something to the parsers, in any order.
    #[test]
    fn bytes_of_meaning(bytes in vec(prop::sample::select(b"{}[]\",:\\019-.eE \x00\x01\x02\x07\x20\xff\x80truenabot".to_vec()), 0..80)) {
        targets::ALL.iter().for_each(|(_, target)| target(&bytes));
    }

    #[test]
    fn valid_input_with_faults(target in 0..targets::ALL.len(), seed in any::<usize>(), faults in vec(fault(), 1..6)) {
        let seeds = &SEEDS[target];
        let mut bytes = seeds[seed % seeds.len()].clone();
        faults.iter().for_each(|fault| apply(fault, &mut bytes, seeds));
        targets::ALL[target].1(&bytes);
    }
}
