//! Compressed bodies: what Java wrote, what we write, and what an attacker might write.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use bytes::Bytes;
use posthaste_protocol::compression::decompress;
use posthaste_protocol::stored::sys_flag;
use posthaste_protocol::{Compression, DecodeError};
use proptest::prelude::*;

const KINDS: &[Compression] = &[
    Compression::Zlib,
    #[cfg(feature = "lz4")]
    Compression::Lz4,
    #[cfg(feature = "zstd")]
    Compression::Zstd,
];

proptest! {
    #[test]
    fn what_is_compressed_comes_back(pattern in prop::collection::vec(any::<u8>(), 1..50), times in 1..400usize, level in 0..10u32) {
        let body = Bytes::from(pattern.repeat(times));
        for kind in KINDS {
            let Some(packed) = kind.compress(&body, level) else { continue };
            prop_assert!(packed.len() < body.len());
            prop_assert_eq!(decompress(kind.sys_flag(), &packed, body.len()), Ok(body.clone()));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200), flags: i32) {
        let _ = decompress(flags | sys_flag::COMPRESSED, &bytes.into(), 1000);
    }
}

#[test]
fn what_does_not_get_smaller_stays_as_it_is() {
    for kind in KINDS {
        assert_eq!(kind.compress(b"short", 5), None);
        assert_eq!(kind.compress(b"", 5), None);
    }
    let body = Bytes::from_static(b"as it is");
    assert_eq!(decompress(0, &body, 0), Ok(body));
}

/// Sixteen MiB of zeros have a few KiB: reading stops at the limit, and nothing is given.
#[test]
fn a_bomb_is_not_unpacked() {
    let bomb = vec![0; 16 * 1024 * 1024];
    for kind in KINDS {
        let packed = kind.compress(&bomb, 9).unwrap();
        assert!(packed.len() < 128 * 1024, "{kind:?}: {}", packed.len());
        let refused = decompress(kind.sys_flag(), &packed, 1024 * 1024);
        assert!(matches!(&refused, Err(DecodeError::Body(text)) if text.contains("more than")));
        // Exactly as much as is allowed.
        assert_eq!(decompress(kind.sys_flag(), &packed, bomb.len()).unwrap().len(), bomb.len());
    }
}

/// 4.x leaves the type out, 5.x names zlib.
#[test]
fn zlib_has_two_numbers() {
    let packed = Compression::Zlib.compress(&[7; 100], 5).unwrap();
    for flags in [0x1, 0x301] {
        assert_eq!(decompress(flags, &packed, 100).unwrap(), &[7; 100][..]);
    }
    let refused = decompress(0x401, &packed, 100).unwrap_err();
    assert!(refused.to_string().contains("0x400"), "{refused}");
    let cut = packed.slice(..packed.len() - 3);
    assert!(decompress(0x1, &cut, 100).is_err());
}
