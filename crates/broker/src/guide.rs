//! How to use the broker, a page per subject.

#[doc = include_str!("../docs/testing.md")]
pub mod testing {}
