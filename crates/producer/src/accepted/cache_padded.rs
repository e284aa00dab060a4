//! A value with its own cache lines.

use std::ops::Deref;

/// A value that shares no cache line with another one (processors fetch them in pairs of 64 bytes). For
/// what many threads write, beside what they only read.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct CachePadded<T>(pub(crate) T);

impl<T> Deref for CachePadded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
