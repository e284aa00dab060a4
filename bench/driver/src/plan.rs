//! Which cases are run.

use crate::Arguments;
use crate::case::{Case, Scenario, ServerKind};
use crate::client::Client::{self, *};

use Scenario::{Batches, Burst, InFlight, Oneway, Ordered, Pipeline};
use ServerKind::{Embedded, Null, Real};

/// The cases of a run, those of one table row next to each other.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    pub(crate) cases: Vec<Case>,
}

const CALLERS: Client = BareCallers { batching: true, one_thread: false };
const CALLERS_ONE_THREAD: Client = BareCallers { batching: true, one_thread: true };
const CALLERS_UNBATCHED: Client = BareCallers { batching: false, one_thread: false };
const CALLERS_UNBATCHED_ONE_THREAD: Client = BareCallers { batching: false, one_thread: true };
const LEAST: Client = LeastProducer { batching: true, one_thread: false };
const LEAST_ONE_THREAD: Client = LeastProducer { batching: true, one_thread: true };
const LEAST_UNBATCHED: Client = LeastProducer { batching: false, one_thread: false };
const LEAST_UNBATCHED_ONE_THREAD: Client = LeastProducer { batching: false, one_thread: true };

type Row = (ServerKind, Scenario, usize, &'static [Client]);

/// What the tables of the goals need.
const DEFAULT: &[Row] = &[
    (Real, InFlight(1), 128, &[Posthaste, Bare(1), Java550, RocketmqClientRust]),
    (
        Real,
        InFlight(256),
        128,
        &[Posthaste, LEAST, CALLERS, Bare(1), Bare(32), Bare(128), Bare(256)],
    ),
    (
        Real,
        InFlight(1024),
        128,
        &[
            Posthaste,
            PosthasteOneThread,
            PosthasteUnbatched,
            Java550,
            Java550AutoBatch,
            Java470,
            RocketmqClientRust,
            LEAST,
            CALLERS,
            Bare(1),
            Bare(32),
            Bare(128),
            Bare(512),
            Bare(1024),
        ],
    ),
    (Real, InFlight(10_000), 128, &[Posthaste, LEAST, CALLERS, Bare(128), Bare(512), Bare(1024)]),
    (Real, Batches(32), 128, &[Posthaste, Java550, RocketmqClientRust, Bare(32)]),
    (Real, Ordered(1024), 128, &[Posthaste]),
    (Real, Oneway(256), 128, &[Posthaste]),
    (Real, InFlight(1024), 1024, &[Posthaste, Java550, Bare(128), Bare(512)]),
    (Real, InFlight(1024), 16_384, &[Posthaste, Java550, Bare(8), Bare(32)]),
    (Null, InFlight(1), 128, &[Posthaste, Bare(1), Java550, Go, RocketmqClientRust]),
    (
        Null,
        InFlight(256),
        128,
        &[
            Posthaste,
            PosthasteOneThread,
            PosthasteUnbatched,
            PosthasteUnbatchedOneThread,
            LEAST,
            LEAST_ONE_THREAD,
            LEAST_UNBATCHED,
            LEAST_UNBATCHED_ONE_THREAD,
            CALLERS,
            CALLERS_ONE_THREAD,
            CALLERS_UNBATCHED,
            CALLERS_UNBATCHED_ONE_THREAD,
            Bare(1),
            Java550,
            Java470,
            Go,
            RocketmqClientRust,
        ],
    ),
    (
        Null,
        InFlight(1024),
        128,
        &[
            Posthaste,
            PosthasteOneThread,
            PosthasteUnbatched,
            PosthasteUnbatchedOneThread,
            CALLERS,
            CALLERS_UNBATCHED,
            Bare(1),
            Bare(128),
            RocketmqClientRust,
        ],
    ),
    (Null, InFlight(10_000), 128, &[Posthaste, PosthasteUnbatched, CALLERS, CALLERS_UNBATCHED]),
    (Null, Pipeline(1024), 128, &[Posthaste]),
    (
        Null,
        Oneway(256),
        128,
        &[
            Posthaste,
            PosthasteUnlimited,
            PosthasteUnlimitedOneThread,
            LEAST,
            LEAST_ONE_THREAD,
            CALLERS,
            CALLERS_ONE_THREAD,
            Java550,
            Java470,
            Go,
            RocketmqClientRust,
        ],
    ),
    (
        Null,
        Batches(32),
        128,
        &[Posthaste, PosthasteOneThread, Java550, Go, RocketmqClientRust, Bare(32)],
    ),
    (Embedded, InFlight(1), 128, &[Posthaste, Bare(1)]),
    (
        Embedded,
        InFlight(1024),
        128,
        &[
            Posthaste,
            PosthasteUnbatched,
            PosthasteUnbatchedOneThread,
            LEAST_UNBATCHED,
            LEAST_UNBATCHED_ONE_THREAD,
            CALLERS_UNBATCHED,
            CALLERS_UNBATCHED_ONE_THREAD,
            Bare(1),
        ],
    ),
    (Real, Burst(10_000), 128, &[Posthaste, Java550]),
    (Real, Burst(20_000), 128, &[Posthaste, Java550]),
];

/// What `--full` adds.
const MORE: &[Row] = &[
    (Real, InFlight(1), 128, &[Java470]),
    (Real, InFlight(32), 128, &[Posthaste, Bare(1), Bare(32)]),
    (Real, InFlight(256), 128, &[PosthasteUnbatched, Java550, Java470, RocketmqClientRust]),
    (Real, InFlight(10_000), 128, &[PosthasteUnbatched, Java550]),
    (Real, Oneway(256), 128, &[Java550]),
    (Real, Pipeline(1024), 128, &[Posthaste]),
    (Null, InFlight(1), 128, &[Java470]),
    (Null, InFlight(32), 128, &[Posthaste, PosthasteUnbatched, Bare(1)]),
    (Null, InFlight(1024), 128, &[Java550, Java470, Go]),
    (Null, InFlight(1024), 1024, &[Posthaste, PosthasteUnbatched, Java550, Bare(1), Bare(128)]),
    (Null, InFlight(1024), 16_384, &[Posthaste, PosthasteUnbatched, Java550, Bare(1), Bare(32)]),
    (Embedded, InFlight(256), 128, &[Posthaste, PosthasteUnbatched, Java550]),
    (Embedded, InFlight(10_000), 128, &[Posthaste, PosthasteUnbatched]),
    (Embedded, Ordered(1024), 128, &[Posthaste]),
    (Embedded, Oneway(256), 128, &[Posthaste]),
    (Embedded, Batches(32), 128, &[Posthaste, Bare(32)]),
    (Embedded, InFlight(1024), 1024, &[Posthaste, Bare(128)]),
    (Real, Burst(10_000), 128, &[Java470, RocketmqClientRust, Bare(1)]),
    (Real, Burst(20_000), 128, &[Java470, RocketmqClientRust, Bare(1)]),
];

/// What `--quick` runs.
const QUICK: &[Row] = &[
    (Real, InFlight(1), 128, &[Posthaste, Bare(1)]),
    (Real, InFlight(1024), 128, &[Posthaste, Java550, Bare(1), Bare(128), Bare(512), Bare(1024)]),
    (Null, InFlight(1), 128, &[Posthaste, Bare(1)]),
    (Null, InFlight(1024), 128, &[Posthaste, PosthasteUnbatched, Bare(1)]),
    (Null, Oneway(256), 128, &[Posthaste, PosthasteUnlimited]),
    (Null, Batches(32), 128, &[Posthaste, Bare(32)]),
    (Embedded, InFlight(1024), 128, &[Posthaste, PosthasteUnbatched]),
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
                |case| case.client == Go || (case.server, case.scenario) == (Null, InFlight(1))
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
