//! Java's string hash, which decides queues and tag filters.

/// Java's `String.hashCode`: over UTF-16 units, wrapping at 32 bits.
pub fn hash(text: &str) -> i32 {
    text.encode_utf16().fold(0i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

/// The place that a key has among `count` queues (Java: `SelectMessageQueueByHash`).
///
/// 5.x takes the remainder first and then its absolute value; 4.7 does it the other way round and
/// agrees except for a hash of `i32::MIN`, where it fails.
pub fn queue_of(key: &str, count: usize) -> usize {
    let count = i64::try_from(count).unwrap_or(i64::MAX).max(1);
    (i64::from(hash(key)) % count).unsigned_abs() as usize
}
