//! What a call of the command line tool printed, without what is never twice the same.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use regex_lite::Regex;

/// How the answers of two servers are compared. Order, addresses, times and ids never count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compared {
    /// Line by line.
    Lines,
    /// As lines, but all numbers other than zero are the same.
    Counts,
    /// As lines, but all numbers are the same.
    Numbers,
    /// As numbers, without the lines about what every real cluster has for its own use.
    Topics,
    /// The names of settings alone: the embedded broker has some of a real broker's settings.
    Keys,
}

/// An answer has at least this many settings.
const SETTINGS_AT_LEAST: usize = 5;

/// An answer that can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// It ends in an error.
    pub(crate) refused: bool,
    lines: BTreeSet<String>,
}

/// The answers of both servers, side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Judgement {
    Right,
    /// The embedded broker refuses what the real one serves.
    Refused,
    /// It serves what the real one refuses.
    Served,
    /// It answers something else, without a word of it.
    Wrong {
        lacking: Vec<String>,
        surplus: Vec<String>,
    },
}

impl Answer {
    /// Whether it says nothing, or shows no more than the head of a table.
    fn is_empty(&self) -> bool {
        self.lines.iter().all(|line| line.starts_with('#'))
    }
}

/// Reads what is printed.
pub(crate) struct Reader {
    noise: Regex,
    chance: Vec<(Regex, &'static str)>,
    counts: Regex,
    numbers: Regex,
}

/// About the tool and the client: what their logging says, where an error arose, where to read about it,
/// what their threads do.
const NOISE: [&str; 5] = [
    r"^\d\d:\d\d:\d\d,\d+ \|-",
    r"^\s+at |^\s+\.\.\. \d+ more",
    r"^(See|For more information,) ",
    r"TID: \d+ STATE: ",
    r"java\.base@|app//",
];

/// Addresses, times, ids and measures, and the words in their place.
const CHANCE: [(&str, &str); 11] = [
    (r"spentTimeMills=\d+", "TIME"),
    (r"\$\$Lambda\$[^@]*", "LAMBDA"),
    (r"\s+", " "),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d([.,]\d+)?", "TIME"),
    (r"\b1\d{12}\b|\b20\d{12,15}\b", "TIME"),
    (r"/?\b\d+\.\d+\.\d+\.\d+:\d+", "ADDRESS"),
    (r"\b[0-9A-F]{32,}\b", "ID"),
    (r"@[0-9a-f]{6,8}\b", "@HASH"),
    (r"/[^ ]*/(embedded|real)/", "FOLDER/"),
    (r"\b\d+ms\b", "TIME"),
    (r"\b\d+\.\d+\b", "MEASURE"),
];

/// What every real cluster has for its own use, and what its tools leave there.
const INTERNAL: [&str; 12] = [
    "RMQ_SYS_",
    "rmq_sys_",
    "TBW102",
    "BenchmarkTest",
    "OFFSET_MOVED_EVENT",
    "SELF_TEST_TOPIC",
    "SCHEDULE_TOPIC_XXXX",
    "DefaultCluster_REPLY_TOPIC",
    "TRANS_CHECK_MAX_TIME_TOPIC",
    "TOOLS_CONSUMER",
    "DefaultCluster DefaultCluster",
    "DefaultCluster broker-a",
];

impl Reader {
    pub(crate) fn new() -> Result<Self> {
        let rule = |(rule, word): (&str, &'static str)| Ok((Regex::new(rule)?, word));
        Ok(Self {
            noise: Regex::new(&NOISE.join("|"))?,
            chance: CHANCE.into_iter().map(rule).collect::<Result<_>>()?,
            counts: Regex::new(r"\b[1-9]\d*\b")?,
            numbers: Regex::new(r"\b\d+\b")?,
        })
    }

    pub(crate) fn read(&self, printed: &str, how: Compared) -> Answer {
        let refused = printed.lines().any(|line| line.contains("Exception: "));
        let lines = printed.lines().filter(|line| !self.noise.is_match(line));
        let lines = lines.map(|line| self.without_chance(line)).filter(|line| !line.is_empty());
        let lines = match how {
            Compared::Lines => lines.collect(),
            Compared::Counts => lines.map(|line| self.without_counts(&line)).collect(),
            Compared::Numbers => lines.map(|line| self.without_numbers(&line)).collect(),
            Compared::Topics => lines
                .filter(|line| !is_internal(line))
                .map(|line| self.without_numbers(&line))
                .collect(),
            Compared::Keys => lines.map(|line| key(&line)).filter(|key| !is_of_4_x(key)).collect(),
        };
        Answer { refused, lines }
    }

    fn without_chance(&self, line: &str) -> String {
        let replaced = |line: String, (rule, word): &(Regex, &str)| {
            rule.replace_all(&line, *word).into_owned()
        };
        self.chance.iter().fold(line.to_owned(), replaced).trim().to_owned()
    }

    fn without_numbers(&self, line: &str) -> String {
        self.numbers.replace_all(line, "NUMBER").into_owned()
    }

    fn without_counts(&self, line: &str) -> String {
        self.counts.replace_all(line, "COUNT").into_owned()
    }
}

impl Compared {
    pub(crate) fn of(word: &str) -> Result<Self> {
        [Self::Lines, Self::Counts, Self::Numbers, Self::Topics, Self::Keys]
            .into_iter()
            .find(|how| how.as_str() == word)
            .with_context(|| format!("`{word}` is no way to compare"))
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::Counts => "counts",
            Self::Numbers => "numbers",
            Self::Topics => "topics",
            Self::Keys => "keys",
        }
    }
}

/// What the embedded broker's answer is, beside a real one's.
pub(crate) fn judge(embedded: &Answer, real: &Answer, how: Compared) -> Judgement {
    match (embedded.refused, real.refused) {
        (true, true) => return Judgement::Right,
        (true, false) => return Judgement::Refused,
        (false, true) if !embedded.is_empty() => return Judgement::Served,
        (false, _) => {}
    }
    let surplus: Vec<String> = embedded.lines.difference(&real.lines).cloned().collect();
    let mut lacking: Vec<String> = real.lines.difference(&embedded.lines).cloned().collect();
    if how == Compared::Keys && embedded.lines.len() >= SETTINGS_AT_LEAST {
        lacking.clear();
    }
    match lacking.is_empty() && surplus.is_empty() {
        true => Judgement::Right,
        false => Judgement::Wrong { lacking, surplus },
    }
}

fn is_internal(line: &str) -> bool {
    let named = |name: &&str| line.contains(*name);
    INTERNAL.iter().any(named) || line == "DefaultCluster" || line == "broker-a"
}

/// Tools of 4.x look for these; 5.5.0 has other names for them, or has them no more.
fn is_of_4_x(key: &str) -> bool {
    ["getTransferedTps", "filterServerNums"].iter().any(|name| key.ends_with(name))
}

/// What stands before the sign of a setting's value.
fn key(line: &str) -> String {
    line.split([':', '=']).next().unwrap_or(line).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(embedded: &str, real: &str, how: Compared) -> Judgement {
        let reader = Reader::new().unwrap();
        judge(&reader.read(embedded, how), &reader.read(real, how), how)
    }

    #[test]
    fn addresses_times_and_ids_do_not_count() {
        let embedded = "Born Host:    127.0.0.1:4711\nstored 2026-11-30 23:33:24,046 7F000001000070AC0000000000000312";
        let real = "Born Host: 127.0.0.1:28844\nstored 2026-11-30 23:33:25 7F000001000070AC0000000000000313";
        assert_eq!(judged(embedded, real, Compared::Lines), Judgement::Right);
    }

    #[test]
    fn a_missing_row_is_wrong() {
        let head = "#Topic #Group #Diff\n";
        let row = "orders billing 3";
        let wrong = judged(head, &format!("{head}{row}"), Compared::Counts);
        let lacking = vec!["orders billing COUNT".to_owned()];
        assert_eq!(wrong, Judgement::Wrong { lacking, surplus: Vec::new() });
    }

    #[test]
    fn counts_are_alike_but_for_zero() {
        assert_eq!(judged("diff 3", "diff 44", Compared::Counts), Judgement::Right);
        assert_ne!(judged("diff 0", "diff 44", Compared::Counts), Judgement::Right);
        assert_ne!(judged("diff 3", "diff 44", Compared::Lines), Judgement::Right);
    }

    #[test]
    fn a_refusal_is_right_where_the_real_broker_refuses_too() {
        let refusal =
            "org.apache.rocketmq.tools.command.SubCommandException: x failed\n\tat x(Y.java:1)";
        assert_eq!(judged(refusal, refusal, Compared::Lines), Judgement::Right);
        assert_eq!(judged(refusal, "success", Compared::Lines), Judgement::Refused);
        assert_eq!(judged("success", refusal, Compared::Lines), Judgement::Served);
        let head = "#Topic #Group";
        assert!(matches!(judged(head, refusal, Compared::Lines), Judgement::Wrong { .. }));
    }

    #[test]
    fn a_message_before_a_stack_trace_is_a_refusal() {
        let cut = "Topic: orders\njava.lang.RuntimeException: CODE: 3";
        assert_eq!(judged(cut, "Topic: orders\ntracked", Compared::Lines), Judgement::Refused);
    }

    #[test]
    fn what_a_real_cluster_has_for_its_own_use_may_lack() {
        let real = "AdmTopic\nRMQ_SYS_TRACE_TOPIC\nDefaultCluster\nbroker-a";
        assert_eq!(judged("AdmTopic", real, Compared::Topics), Judgement::Right);
        assert_ne!(judged("", real, Compared::Topics), Judgement::Right);
    }

    #[test]
    fn some_settings_are_enough_but_none_is_made_up() {
        let real = "a : 1\nb : 2\nc : 3\nd : 4\ne : 5\nf : 6";
        assert_eq!(judged("a:9\nb:9\nc:9\nd:9\ne:9", real, Compared::Keys), Judgement::Right);
        assert_ne!(judged("a : 1", real, Compared::Keys), Judgement::Right);
        assert_ne!(judged("a:9\nb:9\nc:9\nd:9\nz:9", real, Compared::Keys), Judgement::Right);
    }
}
