//! Time, as the engine gets it: it has no clock.

/// Milliseconds since 1970.
pub(crate) type Millis = i64;
