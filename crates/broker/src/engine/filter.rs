//! Which messages a consumer wants, by their tags or, where that is allowed, by an expression.

use std::collections::HashSet;

use posthaste_protocol::{ResponseCode, java};

use super::refusal::Refusal;
use super::sql::Sql;
use crate::store::Record;

/// The longest expression. Each pull that waits has its tags, and each group its expressions.
const MAX_LENGTH: usize = 8 * 1024;

/// Whether an expression is short enough.
pub(crate) fn check_length(expression: &str) -> Result<(), Refusal> {
    match expression.len() {
        0..=MAX_LENGTH => Ok(()),
        length => Err(Refusal::new(
            ResponseCode::SUBSCRIPTION_PARSE_FAILED,
            format!("the subscription has {length} bytes; {MAX_LENGTH} is the most"),
        )),
    }
}

/// Which messages are wanted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Filter {
    /// All of them.
    All,
    /// Messages whose tag has one of these hashes. Consumers compare the texts themselves.
    Tags(HashSet<i32>),
    /// Messages of whose properties this is true.
    Sql(Sql),
}

impl Filter {
    /// Reads an expression: `*` or nothing for all, or tags separated by `||`; with `sql` also one of
    /// SQL92.
    ///
    /// # Errors
    /// When the expression is of a kind that is not allowed, cannot be read, or is too long.
    pub(crate) fn read(kind: &str, expression: &str, sql: bool) -> Result<Self, Refusal> {
        if sql && kind == "SQL92" {
            let bad = |why| Refusal::new(ResponseCode::SUBSCRIPTION_PARSE_FAILED, why);
            return Sql::read(expression).map(Self::Sql).map_err(bad);
        }
        if !matches!(kind, "" | "TAG") {
            return Err(Refusal::system_error(format!(
                "The broker does not support consumer to filter message by {kind}"
            )));
        }
        check_length(expression)?;
        let tags = expression.split("||").map(str::trim).filter(|tag| !tag.is_empty());
        let hashes: HashSet<i32> = tags.clone().map(java::hash).collect();
        match hashes.is_empty() || tags.clone().eq(["*"]) {
            true => Ok(Self::All),
            false => Ok(Self::Tags(hashes)),
        }
    }

    /// Whether a message is wanted.
    pub(crate) fn wants(&self, record: &Record) -> bool {
        match self {
            Self::All => true,
            Self::Sql(sql) => sql.wants(|name| record.property(name)),
            Self::Tags(hashes) => record.tag().is_some_and(|tag| hashes.contains(&java::hash(tag))),
        }
    }
}
