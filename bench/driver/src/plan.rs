//! Which cases are run.

use crate::arguments::Arguments;
use crate::case::{Case, Scenario, ServerKind};
use crate::client::{
    BARE_CALLERS, Client, GO, JAVA_470, JAVA_550, JAVA_550_AUTO_BATCH, LEAST_PRODUCER, POSTHASTE,
    POSTHASTE_UNBATCHED, POSTHASTE_UNLIMITED, ROCKETMQ_CLIENT_RUST, bare,
};

use Scenario::{Batches, Burst, InFlight, Oneway, Ordered, Pipeline};
use ServerKind::{Embedded, Null, Real};

/// The cases of a run; the cases of one table row are next to each other.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    pub(crate) cases: Vec<Case>,
}

type Row = (ServerKind, Scenario, usize, &'static [Client]);

/// What the tables of the goals need.
const DEFAULT: &[Row] = &[
    (Real, InFlight(1), 128, &[POSTHASTE, bare(1), JAVA_550, ROCKETMQ_CLIENT_RUST]),
    (
        Real,
        InFlight(256),
        128,
        &[POSTHASTE, LEAST_PRODUCER, BARE_CALLERS, bare(1), bare(32), bare(128), bare(256)],
    ),
    (
        Real,
        InFlight(1024),
        128,
        &[
            POSTHASTE,
            POSTHASTE.one_thread(),
            POSTHASTE_UNBATCHED,
            JAVA_550,
            JAVA_550_AUTO_BATCH,
            JAVA_470,
            ROCKETMQ_CLIENT_RUST,
            LEAST_PRODUCER,
            BARE_CALLERS,
            bare(1),
            bare(32),
            bare(128),
            bare(512),
            bare(1024),
        ],
    ),
    (
        Real,
        InFlight(10_000),
        128,
        &[POSTHASTE, LEAST_PRODUCER, BARE_CALLERS, bare(128), bare(512), bare(1024)],
    ),
    (Real, Batches(32), 128, &[POSTHASTE, JAVA_550, ROCKETMQ_CLIENT_RUST, bare(32)]),
    (Real, Ordered(1024), 128, &[POSTHASTE]),
    (Real, Oneway(256), 128, &[POSTHASTE]),
    (Real, InFlight(1024), 1024, &[POSTHASTE, JAVA_550, bare(128), bare(512)]),
    (Real, InFlight(1024), 16_384, &[POSTHASTE, JAVA_550, bare(8), bare(32)]),
    (Null, InFlight(1), 128, &[POSTHASTE, bare(1), JAVA_550, GO, ROCKETMQ_CLIENT_RUST]),
    (
        Null,
        InFlight(256),
        128,
        &[
            POSTHASTE,
            POSTHASTE.one_thread(),
            POSTHASTE_UNBATCHED,
            POSTHASTE_UNBATCHED.one_thread(),
            LEAST_PRODUCER,
            LEAST_PRODUCER.one_thread(),
            LEAST_PRODUCER.unbatched(),
            LEAST_PRODUCER.unbatched().one_thread(),
            BARE_CALLERS,
            BARE_CALLERS.one_thread(),
            BARE_CALLERS.unbatched(),
            BARE_CALLERS.unbatched().one_thread(),
            bare(1),
            JAVA_550,
            JAVA_470,
            GO,
            ROCKETMQ_CLIENT_RUST,
        ],
    ),
    (
        Null,
        InFlight(1024),
        128,
        &[
            POSTHASTE,
            POSTHASTE.one_thread(),
            POSTHASTE_UNBATCHED,
            POSTHASTE_UNBATCHED.one_thread(),
            BARE_CALLERS,
            BARE_CALLERS.unbatched(),
            bare(1),
            bare(128),
            ROCKETMQ_CLIENT_RUST,
        ],
    ),
    (
        Null,
        InFlight(10_000),
        128,
        &[POSTHASTE, POSTHASTE_UNBATCHED, BARE_CALLERS, BARE_CALLERS.unbatched()],
    ),
    (Null, Pipeline(1024), 128, &[POSTHASTE]),
    (
        Null,
        Oneway(256),
        128,
        &[
            POSTHASTE,
            POSTHASTE_UNLIMITED,
            POSTHASTE_UNLIMITED.one_thread(),
            LEAST_PRODUCER,
            LEAST_PRODUCER.one_thread(),
            BARE_CALLERS,
            BARE_CALLERS.one_thread(),
            JAVA_550,
            JAVA_470,
            GO,
            ROCKETMQ_CLIENT_RUST,
        ],
    ),
    (
        Null,
        Batches(32),
        128,
        &[POSTHASTE, POSTHASTE.one_thread(), JAVA_550, GO, ROCKETMQ_CLIENT_RUST, bare(32)],
    ),
    (Embedded, InFlight(1), 128, &[POSTHASTE, bare(1)]),
    (
        Embedded,
        InFlight(1024),
        128,
        &[
            POSTHASTE,
            POSTHASTE_UNBATCHED,
            POSTHASTE_UNBATCHED.one_thread(),
            LEAST_PRODUCER.unbatched(),
            LEAST_PRODUCER.unbatched().one_thread(),
            BARE_CALLERS.unbatched(),
            BARE_CALLERS.unbatched().one_thread(),
            bare(1),
        ],
    ),
    (Real, Burst(10_000), 128, &[POSTHASTE, JAVA_550]),
    (Real, Burst(20_000), 128, &[POSTHASTE, JAVA_550]),
];

/// What `--full` adds.
const MORE: &[Row] = &[
    (Real, InFlight(1), 128, &[JAVA_470]),
    (Real, InFlight(32), 128, &[POSTHASTE, bare(1), bare(32)]),
    (Real, InFlight(256), 128, &[POSTHASTE_UNBATCHED, JAVA_550, JAVA_470, ROCKETMQ_CLIENT_RUST]),
    (Real, InFlight(10_000), 128, &[POSTHASTE_UNBATCHED, JAVA_550]),
    (Real, Oneway(256), 128, &[JAVA_550]),
    (Real, Pipeline(1024), 128, &[POSTHASTE]),
    (Null, InFlight(1), 128, &[JAVA_470]),
    (Null, InFlight(32), 128, &[POSTHASTE, POSTHASTE_UNBATCHED, bare(1)]),
    (Null, InFlight(1024), 128, &[JAVA_550, JAVA_470, GO]),
    (Null, InFlight(1024), 1024, &[POSTHASTE, POSTHASTE_UNBATCHED, JAVA_550, bare(1), bare(128)]),
    (Null, InFlight(1024), 16_384, &[POSTHASTE, POSTHASTE_UNBATCHED, JAVA_550, bare(1), bare(32)]),
    (Embedded, InFlight(256), 128, &[POSTHASTE, POSTHASTE_UNBATCHED, JAVA_550]),
    (Embedded, InFlight(10_000), 128, &[POSTHASTE, POSTHASTE_UNBATCHED]),
    (Embedded, Ordered(1024), 128, &[POSTHASTE]),
    (Embedded, Oneway(256), 128, &[POSTHASTE]),
    (Embedded, Batches(32), 128, &[POSTHASTE, bare(32)]),
    (Embedded, InFlight(1024), 1024, &[POSTHASTE, bare(128)]),
    (Real, Burst(10_000), 128, &[JAVA_470, ROCKETMQ_CLIENT_RUST, bare(1)]),
    (Real, Burst(20_000), 128, &[JAVA_470, ROCKETMQ_CLIENT_RUST, bare(1)]),
];

/// What `--quick` runs.
const QUICK: &[Row] = &[
    (Real, InFlight(1), 128, &[POSTHASTE, bare(1)]),
    (Real, InFlight(1024), 128, &[POSTHASTE, JAVA_550, bare(1), bare(128), bare(512), bare(1024)]),
    (Null, InFlight(1), 128, &[POSTHASTE, bare(1)]),
    (Null, InFlight(1024), 128, &[POSTHASTE, POSTHASTE_UNBATCHED, bare(1)]),
    (Null, Oneway(256), 128, &[POSTHASTE, POSTHASTE_UNLIMITED]),
    (Null, Batches(32), 128, &[POSTHASTE, bare(32)]),
    (Embedded, InFlight(1024), 128, &[POSTHASTE, POSTHASTE_UNBATCHED]),
];

impl Plan {
    pub(crate) fn of(arguments: &Arguments) -> Self {
        let rows: Vec<&Row> = match (arguments.quick, arguments.full) {
            (true, _) => QUICK.iter().collect(),
            (_, true) => DEFAULT.iter().chain(MORE).collect(),
            _ => DEFAULT.iter().collect(),
        };
        let mut cases: Vec<Case> = rows.into_iter().flat_map(cases).collect();
        if !arguments.only.is_empty() {
            cases.retain(|case| {
                let name = case.to_string();
                arguments.only.iter().any(|text| name.contains(text.as_str()))
            });
        }
        cases.retain(|case| {
            let name = case.to_string();
            !arguments.without.iter().any(|text| name.contains(text.as_str()))
        });
        // Bursts last: each needs a broker that has just started.
        cases.sort_by_key(|case| (matches!(case.scenario, Burst(_)), case.server));
        Self { rounds: if arguments.quick { 1 } else { arguments.rounds }, cases }
    }

    /// Whether any case needs this.
    pub(crate) fn needs(&self, wanted: impl Fn(&Case) -> bool) -> bool {
        self.cases.iter().any(wanted)
    }
}

fn cases((server, scenario, body, clients): &Row) -> Vec<Case> {
    let case = |client: &Client| Case {
        server: *server,
        scenario: *scenario,
        body: *body,
        client: *client,
    };
    clients.iter().map(case).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::collections::HashSet;

    fn plan(line: &[&str]) -> Plan {
        Plan::of(&Arguments::parse_from([&["run"], line].concat()))
    }

    #[test]
    fn no_case_is_there_twice() {
        let cases = plan(&["--full"]).cases;
        assert_eq!(cases.iter().collect::<HashSet<_>>().len(), cases.len());
    }

    #[test]
    fn only_keeps_what_has_one_of_the_texts() {
        let cases = plan(&["--only", "null/one at a time", "--only", "Go"]).cases;
        assert!(!cases.is_empty());
        assert!(
            cases.iter().all(
                |case| case.client == GO || (case.server, case.scenario) == (Null, InFlight(1))
            )
        );
    }

    #[test]
    fn what_has_a_text_of_without_is_left_out() {
        let (all, some) = (plan(&[]).cases, plan(&["--without", "Java"]).cases);
        assert!(!some.is_empty() && some.len() < all.len());
        assert!(some.iter().all(|case| !case.client.is_java()));
    }

    #[test]
    fn bursts_come_last() {
        let cases = plan(&[]).cases;
        let first = cases.iter().position(|case| matches!(case.scenario, Burst(_))).unwrap();
        assert!(cases[first..].iter().all(|case| matches!(case.scenario, Burst(_))));
    }
}
