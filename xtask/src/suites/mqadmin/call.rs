//! One call of RocketMQ's command line tool, as the table in `interop/mqadmin.md` has it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

use super::answer::Compared;

/// What is to come of a call on the embedded broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It answers as a real broker does, which may be with a refusal.
    Right,
    /// It refuses, and says that it does not know the request. A real broker serves it.
    Refused,
}

/// A line of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// As it is typed, with names in braces for what differs between servers.
    pub(crate) line: String,
    /// Whether developers use it, who have a broker on their machine.
    pub(crate) for_developers: bool,
    pub(crate) expected: Verdict,
    pub(crate) compared: Compared,
}

impl Call {
    pub(crate) fn of_row(row: &[String]) -> Result<Self> {
        let [line, developers, expected, compared, ..] = row else {
            bail!("{row:?} has too few cells")
        };
        let expected = match expected.as_str() {
            "right" => Verdict::Right,
            "refused" => Verdict::Refused,
            other => bail!("{line}: `{other}` is no verdict"),
        };
        let for_developers = match developers.as_str() {
            "yes" => true,
            "" => false,
            other => bail!("{line}: `{other}` is neither yes nor empty"),
        };
        let line = line.trim_matches('`').to_owned();
        let compared = Compared::of(compared).with_context(|| line.clone())?;
        Ok(Self { line, for_developers, expected, compared })
    }

    /// The arguments, with what the names in braces stand for on a server.
    pub(crate) fn arguments(&self, names: &BTreeMap<&str, String>) -> Result<Vec<String>> {
        self.line.split_whitespace().map(|word| filled(word, names)).collect()
    }
}

fn filled(word: &str, names: &BTreeMap<&str, String>) -> Result<String> {
    let mut filled = String::new();
    let mut rest = word;
    while let Some((before, name)) = rest.split_once('{') {
        let (name, after) = name.split_once('}').with_context(|| format!("{word}: no }}"))?;
        let value = names.get(name).with_context(|| format!("{word}: nothing is called {name}"))?;
        ensure!(!value.is_empty(), "{word}: {name} is empty");
        filled.push_str(before);
        filled.push_str(value);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(cells: &[&str]) -> Result<Call> {
        Call::of_row(&cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_row_is_a_call_with_a_verdict() {
        let read = call(&["`topicList -c`", "yes", "right", "topics", ""]).unwrap();
        let line = "topicList -c".to_owned();
        let (expected, compared) = (Verdict::Right, Compared::Topics);
        assert_eq!(read, Call { line, for_developers: true, expected, compared });
        assert_eq!(call(&["x", "", "refused", "lines"]).unwrap().expected, Verdict::Refused);
        assert!(call(&["x", "", "wrong", "lines"]).is_err());
        assert!(call(&["x", "maybe", "right", "lines"]).is_err());
        assert!(call(&["x", "", "right", "somehow"]).is_err());
    }

    #[test]
    fn names_in_braces_are_filled_in() {
        let names = BTreeMap::from([("broker", "broker-a".to_owned()), ("queue", "2".to_owned())]);
        let line = "queryCq -b {broker} -v {broker}:{queue}";
        let arguments = call(&[line, "", "right", "lines"]).unwrap().arguments(&names).unwrap();
        assert_eq!(arguments, ["queryCq", "-b", "broker-a", "-v", "broker-a:2"]);
        let unknown = call(&["queryCq {what}", "", "right", "lines"]).unwrap();
        assert!(unknown.arguments(&names).is_err());
    }
}
