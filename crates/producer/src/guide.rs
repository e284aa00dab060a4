//! Pages about one thing each.

#[doc = include_str!("../docs/observability.md")]
pub mod observability {}
