//! Time, as the engine is told it: it has no clock.

/// Milliseconds since 1970.
pub(crate) type Millis = i64;
