//! What is behind the settings, a page per subject.

#[doc = include_str!("../docs/delivery.md")]
pub mod delivery {}

#[doc = include_str!("../docs/ordering.md")]
pub mod ordering {}

#[doc = include_str!("../docs/transactions.md")]
pub mod transactions {}

#[doc = include_str!("../docs/cancellation.md")]
pub mod cancellation {}

#[doc = include_str!("../docs/errors.md")]
pub mod errors {}

#[doc = include_str!("../docs/tuning.md")]
pub mod tuning {}

#[cfg(feature = "tls")]
#[doc = include_str!("../docs/security.md")]
pub mod security {}

#[doc = include_str!("../docs/observability.md")]
pub mod observability {}

#[doc = include_str!("../docs/coming_from_java.md")]
pub mod coming_from_java {}
