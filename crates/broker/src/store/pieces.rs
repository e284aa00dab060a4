//! How a long block is cut, so that little of the file is left empty: redb gives an entry that is
//! longer than a page as many pages as the next power of two says.

/// What a page has.
const PAGE: usize = 4096;
/// What redb needs of it.
const OVERHEAD: usize = 64;

/// The longest entry that takes no more pages than half as many more bytes would: a block of several
/// messages is never longer.
pub(super) const WHOLE: usize = 8 * PAGE - OVERHEAD;

/// The longest piece: longer ones would leave more empty between each other.
const LONGEST: usize = 32 * PAGE - OVERHEAD;

/// The lengths of the pieces of an entry. One that a block of several messages may have is one piece.
pub(super) fn piece_lengths(length: usize) -> Vec<usize> {
    let mut pieces = Vec::new();
    let mut rest = length;
    while rest > WHOLE {
        let room = pages_for(rest);
        if room <= LONGEST && room - rest <= rest / 8 {
            break;
        }
        let piece = (room.div_ceil(2) - OVERHEAD / 2).min(LONGEST);
        pieces.push(piece);
        rest -= piece;
    }
    pieces.push(rest);
    pieces
}

/// What fits into the pages that an entry takes.
fn pages_for(length: usize) -> usize {
    (length + OVERHEAD).div_ceil(PAGE).next_power_of_two() * PAGE - OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_whole_and_leave_little_empty() {
        for length in (1..200_000).step_by(17).chain([WHOLE, WHOLE + 1, 1 << 20, 4_200_000]) {
            let pieces = piece_lengths(length);
            assert_eq!(pieces.iter().sum::<usize>(), length);
            assert!(length > WHOLE || pieces.len() == 1);
            assert!(pieces.iter().all(|piece| (1..=LONGEST).contains(piece)));
            if length > WHOLE {
                let (last, full) = pieces.split_last().expect("a piece");
                assert!(
                    full.iter().all(|piece| pages_for(*piece) == *piece),
                    "{length} {pieces:?}"
                );
                let taken: usize = pieces.iter().map(|piece| pages_for(*piece) + OVERHEAD).sum();
                assert!(taken * 10 <= length * 18, "{length} in {taken}: {pieces:?} {last}");
            }
        }
        assert_eq!(piece_lengths(65_536 + 300), [65_472, 364]);
    }
}
