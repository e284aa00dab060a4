//! How to use the inspector, a page per subject.

#[doc = include_str!("../docs/testing.md")]
pub mod testing {}
