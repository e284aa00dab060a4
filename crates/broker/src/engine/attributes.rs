//! The attributes of a topic (5.x): what there is, and how a request changes it (Java:
//! `TopicAttributes`, `AttributeUtil`).

use super::refusal::Refusal;
use crate::store::Attributes;

/// What the value of an attribute may be.
enum Values {
    OneOf(&'static [&'static str]),
    Number(i64, i64),
}

/// An attribute: its name, whether it may change after the topic's creation, its values.
const KNOWN: &[(&str, bool, Values)] = &[
    ("queue.type", false, Values::OneOf(&["BatchCQ", "SimpleCQ"])),
    ("cleanup.policy", false, Values::OneOf(&["DELETE", "COMPACTION"])),
    (
        "message.type",
        true,
        Values::OneOf(&[
            "UNSPECIFIED",
            "NORMAL",
            "FIFO",
            "DELAY",
            "TRANSACTION",
            "PRIORITY",
            "LITE",
            "MIXED",
        ]),
    ),
    ("reserve.time", true, Values::Number(-1, i64::MAX)),
    ("lite.topic.expiration", true, Values::Number(-1, 43_200)),
];

/// The attributes after `changes`: `+name=value` and `-name`, separated by commas. `None` of a topic
/// that is about to be created.
pub(crate) fn changed(current: Option<&Attributes>, changes: &str) -> Result<Attributes, Refusal> {
    let mut attributes = current.cloned().unwrap_or_default();
    let mut named = Vec::new();
    for item in changes.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        let (name, value) = item.split_once('=').unwrap_or((item, ""));
        if named.contains(&name.get(1..)) {
            return refused("alter duplication key", item);
        }
        named.push(name.get(1..));
        match name.split_at_checked(1) {
            Some(("+", name)) => {
                check(current.is_none(), name, value)?;
                attributes.insert(name.to_owned(), value.to_owned());
            }
            Some(("-", _)) if current.is_none() => {
                return refused("only add attribute is supported while creating topic", item);
            }
            Some(("-", name)) if !attributes.contains_key(name) => {
                return refused("attempt to delete a nonexistent key", name);
            }
            Some(("-", name)) => {
                check_name(false, name)?;
                attributes.remove(name);
            }
            _ => return refused("kv string format wrong", item),
        }
    }
    Ok(attributes)
}

fn check(is_new: bool, name: &str, value: &str) -> Result<(), Refusal> {
    let fits = match check_name(is_new, name)? {
        Values::OneOf(values) => values.contains(&value),
        Values::Number(least, most) => {
            value.parse::<i64>().is_ok_and(|number| (*least..=*most).contains(&number))
        }
    };
    match fits {
        true => Ok(()),
        false => refused("value is not in set", &format!("{name}={value}")),
    }
}

fn check_name(is_new: bool, name: &str) -> Result<&'static Values, Refusal> {
    match KNOWN.iter().find(|(known, ..)| *known == name) {
        None => refused("unsupported key", name),
        Some((_, false, _)) if !is_new => {
            refused("attempt to update an unchangeable attribute", name)
        }
        Some((_, _, values)) => Ok(values),
    }
}

fn refused<T>(why: &str, what: &str) -> Result<T, Refusal> {
    Err(Refusal::system_error(format!("{why}: {what}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(current: Option<&[(&str, &str)]>, changes: &str) -> Option<Vec<(String, String)>> {
        let owned = |pairs: &[(&str, &str)]| -> Attributes {
            pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
        };
        let current = current.map(owned);
        changed(current.as_ref(), changes).ok().map(|all| all.into_iter().collect())
    }

    #[test]
    fn what_a_request_makes_of_attributes() {
        type Pairs = &'static [(&'static str, &'static str)];
        let fifo: Pairs = &[("message.type", "FIFO")];
        let cases: &[(Option<Pairs>, &str, Option<Pairs>)] = &[
            (None, "", Some(&[])),
            (None, "+message.type=FIFO", Some(fifo)),
            (None, "+message.type=FIFO,", Some(fifo)),
            (
                None,
                "+message.type=DELAY,+queue.type=BatchCQ",
                Some(&[("message.type", "DELAY"), ("queue.type", "BatchCQ")]),
            ),
            (Some(fifo), "", Some(fifo)),
            (Some(fifo), "+message.type=MIXED", Some(&[("message.type", "MIXED")])),
            (Some(fifo), "-message.type", Some(&[])),
            (Some(&[]), "+reserve.time=7", Some(&[("reserve.time", "7")])),
            (None, "+reserve.time=-2", None),
            (None, "+lite.topic.expiration=43201", None),
            (None, "+message.type=BLUE", None),
            (None, "+message.type", None),
            (None, "+colour=blue", None),
            (None, "message.type=FIFO", None),
            (None, "-message.type", None),
            (None, "+message.type=FIFO,+message.type=DELAY", None),
            (Some(&[]), "-message.type", None),
            (Some(&[]), "+queue.type=BatchCQ", None),
            (Some(&[]), "+", None),
            (Some(&[]), "ä=1", None),
        ];
        for (current, changes, expected) in cases {
            let expected: Option<Vec<(String, String)>> = expected.map(|pairs| {
                pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
            });
            assert_eq!(after(*current, changes), expected, "{current:?} {changes}");
        }
    }
}
