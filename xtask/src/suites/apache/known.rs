//! Which of Apache's tests do not pass, and why.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

use crate::suites::table;

/// Behind this heading they are listed.
const TESTS: &str = "## The tests";

/// Why a test cannot pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Messages are taken by POP, which the embedded broker does not have, or what needs it.
    Pop,
    /// It wants priorities.
    Priority,
    /// It wants queues of batches.
    BatchQueue,
    /// It wants static topics, whose queues move between brokers.
    StaticTopic,
    /// To take back a message that is not there is answered 604 on purpose.
    Recall,
    /// It reaches into servers of the test's process, or counts on three brokers: it fails on a real
    /// broker as well.
    Harness,
}

impl Cause {
    const ALL: [Self; 6] = [
        Self::Pop,
        Self::Priority,
        Self::BatchQueue,
        Self::StaticTopic,
        Self::Recall,
        Self::Harness,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Pop => "pop",
            Self::Priority => "priority",
            Self::BatchQueue => "batch queue",
            Self::StaticTopic => "static topic",
            Self::Recall => "recall",
            Self::Harness => "harness",
        }
    }
}

/// What is known of a test that does not pass on the embedded broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) cause: Cause,
    /// Whether it fails on a real 5.5.0 broker too, in this harness.
    pub(crate) fails_everywhere: bool,
}

/// Reads the list.
pub(crate) fn read(document: &str) -> Result<BTreeMap<String, Known>> {
    let mut known = BTreeMap::new();
    for row in table::rows(document, TESTS)? {
        let [test, cause, on_real, _why] = row.as_slice() else { bail!("{row:?} has other cells") };
        let test = test.trim_matches('`').to_owned();
        let cause = Cause::ALL
            .into_iter()
            .find(|known| known.as_str() == cause)
            .with_context(|| format!("{test}: `{cause}` is no cause"))?;
        let fails_everywhere = match on_real.as_str() {
            "fails" => true,
            "passes" => false,
            other => bail!("{test}: `{other}` is neither fails nor passes"),
        };
        ensure!(fails_everywhere || cause != Cause::Harness, "{test} passes in this harness");
        let known_test = Known { cause, fails_everywhere };
        ensure!(known.insert(test.clone(), known_test).is_none(), "{test} is listed twice");
    }
    Ok(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "## The tests\n\n| test | cause | on 5.5.0 | why |\n|---|---|---|---|\n";

    fn read_rows(rows: &str) -> Result<BTreeMap<String, Known>> {
        read(&format!("{HEAD}{rows}"))
    }

    #[test]
    fn a_row_names_a_test_and_its_cause() {
        let known = read_rows("| `a.B#c` | pop | fails | |\n| `d.E#f` | recall | passes | x |\n");
        let of = |cause, fails_everywhere| Known { cause, fails_everywhere };
        let wanted = [
            ("a.B#c".to_owned(), of(Cause::Pop, true)),
            ("d.E#f".to_owned(), of(Cause::Recall, false)),
        ];
        assert_eq!(known.unwrap(), BTreeMap::from(wanted));
    }

    #[test]
    fn a_list_that_cannot_be_true_is_refused() {
        assert!(read_rows("| `a.B#c` | unknown | fails | |\n").is_err());
        assert!(read_rows("| `a.B#c` | pop | perhaps | |\n").is_err());
        assert!(read_rows("| `a.B#c` | harness | passes | |\n").is_err());
        assert!(read_rows("| `a` | pop | fails | |\n| `a` | pop | fails | |\n").is_err());
    }
}
