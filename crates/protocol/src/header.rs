//! A command's header in its two encodings.

pub(crate) mod binary;
pub(crate) mod json;
