//! The version of the protocol.

/// The protocol version that every request declares: `V5_5_0` (`MQVersion` ordinal).
///
/// Newer than 475 it makes a 5.x server announce its shutdown with GO_AWAY, and from 401 on
/// name servers answer routes in standard JSON.
pub const VERSION: i32 = 513;
