//! A command's header in its two encodings.

pub(crate) mod binary;
pub(crate) mod json;

use crate::fields::Fields;
use crate::language::Language;

/// What a header says beside its fields; everything is known before the first field is written.
pub(crate) struct Envelope<'a> {
    pub(crate) code: i32,
    pub(crate) flag: i32,
    pub(crate) language: Language,
    pub(crate) opaque: i32,
    pub(crate) remark: Option<&'a str>,
    pub(crate) version: i32,
}

/// A header as it was read. A remark that is empty is none.
pub(crate) struct Parts {
    pub(crate) code: i32,
    pub(crate) language: Language,
    pub(crate) version: i32,
    pub(crate) opaque: i32,
    pub(crate) flag: i32,
    pub(crate) remark: Option<String>,
    pub(crate) fields: Fields,
}
