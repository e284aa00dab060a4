//! Namespaces: names inside are the application's, on the wire they carry their namespace (Java:
//! `NamespaceUtil` of 5.x).

use std::borrow::Cow;
use std::sync::Arc;

use posthaste_protocol::properties::name;

use crate::message::validate;

const SEPARATOR: char = '%';
/// What precedes a group in the name of its topic for redelivered, and for dead, messages.
const PREFIXES: [&str; 2] = ["%RETRY%", "%DLQ%"];
/// The longest namespace, in characters.
const MAX_LENGTH: usize = 100;

/// A namespace of the first kind, which is part of every name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Namespace(Arc<str>);

impl Namespace {
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        validate::plain_name("namespace", text, MAX_LENGTH)?;
        Ok(Self(text.into()))
    }

    /// Bytes that each message gets by it: in its topic, and as a property.
    pub(crate) fn bytes(&self) -> usize {
        name::INSTANCE_ID.len() + 2 * self.0.len() + 3
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The name on the wire of a topic or group. What belongs to the system is everybody's, and what
    /// has the namespace already keeps it.
    pub(crate) fn wrap<'a>(&self, name: &'a str) -> Cow<'a, str> {
        let (prefix, rest) = split(name);
        let is_whole = name.is_empty() || self.inside(rest).is_some();
        if is_whole || validate::is_of_the_system(name) {
            return Cow::Borrowed(name);
        }
        Cow::Owned(format!("{prefix}{}{SEPARATOR}{rest}", self.0))
    }

    /// The application's name of a topic or group on the wire. One of another namespace stays as it
    /// is.
    pub(crate) fn unwrap<'a>(&self, name: &'a str) -> Cow<'a, str> {
        let (prefix, rest) = split(name);
        match self.inside(rest) {
            None => Cow::Borrowed(name),
            Some(inside) if prefix.is_empty() => Cow::Borrowed(inside),
            Some(inside) => Cow::Owned(format!("{prefix}{inside}")),
        }
    }

    /// Whether a name on the wire is of this namespace.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.inside(split(name).1).is_some()
    }

    /// What follows the namespace in a name that has it.
    fn inside<'a>(&self, rest: &'a str) -> Option<&'a str> {
        rest.strip_prefix(&*self.0)?.strip_prefix(SEPARATOR)
    }
}

/// Splits off what says that a topic is for redelivered or dead messages of a group.
fn split(name: &str) -> (&str, &str) {
    let prefix = PREFIXES.iter().find(|prefix| name.starts_with(*prefix));
    name.split_at(prefix.map_or(0, |prefix| prefix.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `NamespaceUtil.wrapNamespace` and `withoutNamespace` of 5.5.0 make of these names.
    const JAVAS: &[(&str, &str, &str)] = &[
        ("t", "ns%t", "t"),
        ("ns%t", "ns%t", "t"),
        ("%RETRY%g", "%RETRY%ns%g", "%RETRY%g"),
        ("%DLQ%g", "%DLQ%ns%g", "%DLQ%g"),
        ("%RETRY%ns%g", "%RETRY%ns%g", "%RETRY%g"),
        ("%DLQ%ns%g", "%DLQ%ns%g", "%DLQ%g"),
        ("other%t", "ns%other%t", "other%t"),
        ("TBW102", "TBW102", "TBW102"),
        ("SCHEDULE_TOPIC_XXXX", "SCHEDULE_TOPIC_XXXX", "SCHEDULE_TOPIC_XXXX"),
        ("BenchmarkTest", "BenchmarkTest", "BenchmarkTest"),
        ("RMQ_SYS_TRACE_TOPIC", "RMQ_SYS_TRACE_TOPIC", "RMQ_SYS_TRACE_TOPIC"),
        ("rmq_sys_wheel_timer", "rmq_sys_wheel_timer", "rmq_sys_wheel_timer"),
        ("RMQ_SYS_x", "ns%RMQ_SYS_x", "RMQ_SYS_x"),
        ("CID_RMQ_SYS_x", "CID_RMQ_SYS_x", "CID_RMQ_SYS_x"),
        ("CHECKPOINT_TOPIC", "CHECKPOINT_TOPIC", "CHECKPOINT_TOPIC"),
        ("SELF_TEST_TOPIC", "SELF_TEST_TOPIC", "SELF_TEST_TOPIC"),
        ("%LMQ%x", "ns%%LMQ%x", "%LMQ%x"),
        ("ns", "ns%ns", "ns"),
        ("ns%", "ns%", ""),
        ("%RETRY%", "%RETRY%ns%", "%RETRY%"),
        ("%RETRY%%DLQ%g", "%RETRY%ns%%DLQ%g", "%RETRY%%DLQ%g"),
        ("%RETRY%TBW102", "%RETRY%ns%TBW102", "%RETRY%TBW102"),
        (
            "DefaultCluster_REPLY_TOPIC",
            "ns%DefaultCluster_REPLY_TOPIC",
            "DefaultCluster_REPLY_TOPIC",
        ),
        ("nst", "ns%nst", "nst"),
        ("ns%a%b", "ns%a%b", "a%b"),
    ];

    #[test]
    fn names_are_wrapped_and_unwrapped_as_in_java() {
        let namespace = Namespace::new("ns").unwrap();
        for (name, wrapped, unwrapped) in JAVAS {
            assert_eq!(namespace.wrap(name), *wrapped, "{name}");
            assert_eq!(namespace.unwrap(name), *unwrapped, "{name}");
        }
        assert!(namespace.has("%RETRY%ns%g") && !namespace.has("nst%t") && !namespace.has("t"));
    }

    #[test]
    fn a_namespace_is_a_name_without_separators() {
        for bad in ["", " ", "a%b", "a|b", "a b", "ä", &"x".repeat(101)] {
            assert!(Namespace::new(bad).is_err(), "{bad}");
        }
        assert!(Namespace::new("MQ_INST_1234567890-a_B").is_ok());
    }
}
