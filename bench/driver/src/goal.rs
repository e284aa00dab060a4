//! The goals, and what this run says of them.

use std::fmt::Write;

use crate::case::{Case, Scenario, ServerKind};
use crate::client::Client;
use crate::record::{Record, Session};
use crate::table::{count, digits};

use Client::{
    BareCallers, Java550, Java550AutoBatch, LeastProducer, Posthaste, PosthasteOneThread,
    PosthasteUnbatched, PosthasteUnbatchedOneThread, PosthasteUnlimited,
    PosthasteUnlimitedOneThread,
};
use Scenario::{Batches, Burst, InFlight, Oneway, Ordered};
use ServerKind::{Embedded, Null, Real};

/// On which side of its number a goal is met.
#[derive(Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

use Bound::{AtLeast, AtMost};

impl Bound {
    fn is_met(self, figure: f64) -> bool {
        match self {
            AtLeast(bound) => figure >= bound,
            AtMost(bound) => figure <= bound,
        }
    }
}

/// One goal and its figure in this run.
struct Goal {
    about: String,
    figure: Option<f64>,
    floors: Floors,
    bound: Bound,
    unit: &'static str,
}

/// What the floors do in the same run, where there are any: the bare callers, or the bare loop, and the
/// least producer.
pub(crate) type Floors = [Option<f64>; 2];

pub(crate) const NO_FLOORS: Floors = [None; 2];

/// The floors of callers.
fn floors(batching: bool, one_thread: bool) -> [Client; 2] {
    [BareCallers { batching, one_thread }, LeastProducer { batching, one_thread }]
}

/// Looks figures up.
struct Figures<'a> {
    session: &'a Session,
    /// What counts as a rate.
    rate: fn(&Record) -> f64,
}

impl Figures<'_> {
    fn median(&self, case: Case, figure: impl Fn(&Record) -> f64) -> Option<f64> {
        Some(self.session.spread(&case, figure)?.median)
    }

    fn rate(&self, server: ServerKind, scenario: Scenario, client: Client) -> Option<f64> {
        self.median(Case { server, scenario, body: 128, client }, self.rate)
    }

    fn cpu(&self, server: ServerKind, scenario: Scenario, client: Client) -> Option<f64> {
        self.median(Case { server, scenario, body: 128, client }, Record::client_cpu)
    }

    fn p50(&self, server: ServerKind, scenario: Scenario, client: Client) -> Option<f64> {
        self.median(Case { server, scenario, body: 128, client }, |r| r.measurement.p50_us)
    }

    /// The best rate of the clients that `wanted` takes.
    fn best(
        &self,
        server: ServerKind,
        scenario: Scenario,
        wanted: impl Fn(Client) -> bool,
    ) -> Option<f64> {
        let row = |row: &(ServerKind, Scenario, usize, Vec<Client>)| {
            (row.0, row.1, row.2) == (server, scenario, 128)
        };
        let (.., clients) = self.session.rows().into_iter().find(row)?;
        let rates = clients.into_iter().filter(|client| wanted(*client));
        rates.filter_map(|client| self.rate(server, scenario, client)).max_by(f64::total_cmp)
    }

    fn best_bare(&self, server: ServerKind, scenario: Scenario) -> Option<f64> {
        self.best(server, scenario, |client| matches!(client, Client::Bare(_)))
    }
}

fn ratio(figure: Option<f64>, to: Option<f64>) -> Option<f64> {
    Some(figure? / to?)
}

fn percent(figure: Option<f64>, of: Option<f64>) -> Option<f64> {
    Some(100.0 * ratio(figure, of)?)
}

fn goals(session: &Session) -> Vec<Goal> {
    let figures = Figures { session, rate: Record::rate };
    let mut goals = Vec::new();
    let mut goal = |about: &str, figure, floors, bound, unit| {
        goals.push(Goal { about: about.to_owned(), figure, floors, bound, unit });
    };
    real(&figures, &mut goal);
    real_rates(&figures, "", &mut goal);
    let lasting = Figures { session, rate: Record::lasting_rate };
    real_rates(&lasting, ", lasting", &mut goal);
    null(&figures, &mut goal);
    let singles = |server, client| figures.rate(server, InFlight(1024), client);
    for (runtime, client, one_thread) in
        [("", PosthasteUnbatched, false), (", one thread", PosthasteUnbatchedOneThread, true)]
    {
        let real = singles(Real, PosthasteUnbatched);
        goal(
            &format!(
                "embedded broker, 1,024 in flight, batching off{runtime}: against the real broker"
            ),
            ratio(singles(Embedded, client), real),
            floors(false, one_thread).map(|floor| ratio(singles(Embedded, floor), real)),
            AtLeast(10.0),
            "×",
        );
    }
    goals
}

type Add<'a> = dyn FnMut(&str, Option<f64>, Floors, Bound, &'static str) + 'a;

fn real(figures: &Figures<'_>, goal: &mut Add<'_>) {
    let (one, many) = (InFlight(1), InFlight(1024));
    goal(
        "real, one at a time: p50 against the bare loop",
        ratio(figures.p50(Real, one, Posthaste), figures.p50(Real, one, Client::Bare(1))),
        NO_FLOORS,
        AtMost(1.15),
        "×",
    );
    for (runtime, client, one_thread) in
        [("", Posthaste, false), (", one thread", PosthasteOneThread, true)]
    {
        goal(
            &format!("real, 1,024 in flight{runtime}: client CPU per message"),
            figures.cpu(Real, many, client),
            floors(true, one_thread).map(|floor| figures.cpu(Real, many, floor)),
            AtMost(1.5),
            "µs",
        );
    }
    let p99 = figures
        .median(Case { server: Real, scenario: many, body: 128, client: Posthaste }, |r| {
            r.measurement.p99_us / 1000.0
        });
    goal("real, 1,024 in flight: p99", p99, NO_FLOORS, AtMost(50.0), "ms");
    for size in [10_000, 20_000] {
        let case = || Case { server: Real, scenario: Burst(size), body: 128, client: Posthaste };
        let most = |figure: fn(&Record) -> f64| {
            figures.session.spread(&case(), figure).map(|spread| 100.0 * spread.most)
        };
        goal(
            &format!("cold broker, burst of {size}: failed, worst round"),
            most(Record::failed_share),
            NO_FLOORS,
            AtMost(0.0),
            "%",
        );
        goal(
            &format!("cold broker, burst of {size}: refused, median"),
            figures.median(case(), |r| 100.0 * r.refused_share()),
            NO_FLOORS,
            AtMost(0.0),
            "%",
        );
        goal(
            &format!("cold broker, burst of {size}: refused, worst round"),
            most(Record::refused_share),
            NO_FLOORS,
            AtMost(0.1),
            "%",
        );
    }
}

/// The goals of rates on the real broker, by one kind of rate.
fn real_rates(figures: &Figures<'_>, how: &str, goal: &mut Add<'_>) {
    let many = InFlight(1024);
    let rate = |scenario| figures.rate(Real, scenario, Posthaste);
    let floor = |scenario| floors(true, false).map(|floor| figures.rate(Real, scenario, floor));
    let bare = |scenario| figures.best_bare(Real, scenario);
    for (client, name, bound) in
        [(Java550, "single sends", 30.0), (Java550AutoBatch, "auto-batching", 2.0)]
    {
        let java = figures.rate(Real, many, client);
        goal(
            &format!("real, 1,024 in flight{how}: against Java 5.5.0's {name}"),
            ratio(rate(many), java),
            floor(many).map(|floor| ratio(floor, java)),
            AtLeast(bound),
            "×",
        );
    }
    for (scenario, name, bound) in
        [(InFlight(256), "256", 70.0), (many, "1,024", 70.0), (InFlight(10_000), "10,000", 80.0)]
    {
        goal(
            &format!("real, {name} in flight{how}: share of the best bare loop"),
            percent(rate(scenario), bare(scenario)),
            floor(scenario).map(|floor| percent(floor, bare(scenario))),
            AtLeast(bound),
            "%",
        );
    }
    goal(
        &format!("real, explicit batches of 32{how}: share of the bare loop"),
        percent(rate(Batches(32)), bare(Batches(32))),
        NO_FLOORS,
        AtLeast(85.0),
        "%",
    );
    let about = format!("real, ordered by 100 keys{how}");
    goal(&about, rate(Ordered(1024)), NO_FLOORS, AtLeast(100_000.0), "/s");
}

/// The bare loop on the null broker when the goals in messages per second and in µs were set: of what it
/// did then, the ends that ask most of Posthaste. It says how fast the machine is.
struct Then {
    scenario: Scenario,
    bare: Client,
    rate: f64,
    cpu: f64,
}

const SINGLES: Then =
    Then { scenario: InFlight(1024), bare: Client::Bare(1), rate: 1.4e6, cpu: 0.5 };
const BATCHES: Then =
    Then { scenario: Batches(32), bare: Client::Bare(32), rate: 11.5e6, cpu: 0.08 };

fn null(figures: &Figures<'_>, goal: &mut Add<'_>) {
    let (one, several, oneway) = (InFlight(1), InFlight(256), Oneway(256));
    goal(
        "null, one at a time: p50 against the bare loop",
        ratio(figures.p50(Null, one, Posthaste), figures.p50(Null, one, Client::Bare(1))),
        NO_FLOORS,
        AtMost(1.5),
        "×",
    );
    let rival = figures.best(Null, several, Client::is_rival);
    for (runtime, one_thread, plain, unbatched, unlimited) in [
        ("", false, Posthaste, PosthasteUnbatched, PosthasteUnlimited),
        (
            ", one thread",
            true,
            PosthasteOneThread,
            PosthasteUnbatchedOneThread,
            PosthasteUnlimitedOneThread,
        ),
    ] {
        let mut both = |about: &str,
                        scenario,
                        (client, floors): (_, [Option<Client>; 2]),
                        then: &Then,
                        rate,
                        cpu| {
            // As it stands, and in the bare loop's measure.
            let mut judge = |about: &str,
                             beside: &str,
                             of: &dyn Fn(Scenario, Client) -> Option<f64>,
                             bound: fn(f64) -> Bound,
                             (wanted, was): (f64, f64),
                             unit| {
                let (figure, now) = (of(scenario, client), of(then.scenario, then.bare));
                let floors = floors.map(|floor| of(scenario, floor?));
                goal(about, figure, floors, bound(wanted), unit);
                let (figure, floors) = (ratio(figure, now), floors.map(|floor| ratio(floor, now)));
                goal(&format!("{about}{beside}"), figure, floors, bound(wanted / was), "×");
            };
            let about = format!("null, {about}{runtime}");
            let rates = |scenario, client| figures.rate(Null, scenario, client);
            judge(&about, ": against the bare loop", &rates, AtLeast, (rate, then.rate), "/s");
            let Some(cpu) = cpu else { return };
            let about = format!("{about}: client CPU per message");
            let cpus = |scenario, client| figures.cpu(Null, scenario, client);
            judge(&about, " against the bare loop's", &cpus, AtMost, (cpu, then.cpu), "µs");
        };
        let callers = |batching| floors(batching, one_thread).map(Some);
        let unbatched = (unbatched, callers(false));
        both("256 in flight, batching off", several, unbatched, &SINGLES, 650_000.0, Some(2.0));
        both("256 in flight", several, (plain, callers(true)), &SINGLES, 2e6, None);
        let unlimited = (unlimited, callers(true));
        both("one-way, unlimited", oneway, unlimited, &SINGLES, 1.3e6, Some(1.0));
        let batches = (plain, [Some(Client::Bare(32)), None]);
        both("explicit batches of 32", Batches(32), batches, &BATCHES, 4e6, Some(0.35));
        goal(
            &format!("null, 256 in flight{runtime}: against the best other client"),
            ratio(figures.rate(Null, several, plain), rival),
            NO_FLOORS,
            AtLeast(10.0),
            "×",
        );
    }
    let memory = Case { server: Null, scenario: InFlight(1024), body: 128, client: Posthaste };
    goal(
        "null, 1,024 in flight: peak memory",
        figures.median(memory, Record::peak_rss_mib),
        NO_FLOORS,
        AtMost(16.0),
        "MiB",
    );
}

/// Whether a figure meets its goal; of one that does not, whether a floor loses it too.
pub(crate) fn verdict(
    figure: f64,
    [bare, least]: Floors,
    is_met: impl Fn(f64) -> bool,
) -> &'static str {
    let loses = |floor: Option<f64>| floor.is_some_and(|floor| !is_met(floor));
    match (is_met(figure), loses(bare), loses(least)) {
        (true, ..) => "met",
        (false, true, _) => "**lost**, by the floor too",
        (false, false, true) => "**lost**, by the least producer too",
        (false, false, false) => "**lost**",
    }
}

/// The table of the goals as Markdown. Those that are lost are said to be, and whether a floor loses
/// them too.
pub(crate) fn markdown(session: &Session) -> String {
    let mut text =
        "\n| goal | wanted | this run | floor | least producer | |\n|---|--:|--:|--:|--:|---|\n"
            .to_owned();
    for goal in goals(session) {
        let Goal { about, figure, floors, bound, unit } = goal;
        let wanted = match bound {
            AtLeast(bound) => format!("≥ {}", number(bound, unit)),
            AtMost(bound) => format!("≤ {}", number(bound, unit)),
        };
        let verdict = figure.map_or("not measured", |figure| {
            verdict(figure, floors, |figure| bound.is_met(figure))
        });
        let text_of = |figure: Option<f64>, none: &str| {
            figure.map_or(none.to_owned(), |figure| number(figure, unit))
        };
        let (figure, [floor, least]) = (text_of(figure, "–"), floors.map(|one| text_of(one, "")));
        let _ = writeln!(text, "| {about} | {wanted} | {figure} | {floor} | {least} | {verdict} |");
    }
    text
}

fn number(figure: f64, unit: &str) -> String {
    match unit {
        "/s" => format!("{}/s", count(figure)),
        "×" => format!("{} ×", digits(figure)),
        unit if figure == 0.0 => format!("0 {unit}"),
        unit => format!("{} {unit}", digits(figure)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Machine;
    use bench_session::Measurement;

    fn session(rates: &[(ServerKind, Scenario, Client, u64)]) -> Session {
        let records = rates.iter().map(|(server, scenario, client, messages)| Record {
            measurement: Measurement {
                messages: *messages,
                seconds: 1.0,
                ..Measurement::default()
            },
            ..Record::failure(
                Case { server: *server, scenario: *scenario, body: 128, client: *client },
                0,
                String::new(),
            )
        });
        let records = records.map(|record| Record { error: None, ..record }).collect();
        let machine = Machine::default();
        let (charts, findings) = (Vec::new(), Vec::new());
        Session { begun: String::new(), machine, seconds: 1.0, records, charts, findings }
    }

    #[test]
    fn the_best_bare_loop_is_the_measure_and_a_lost_goal_says_so() {
        let many = InFlight(1024);
        let session = session(&[
            (Real, many, Posthaste, 300),
            (Real, many, Client::Bare(1), 40),
            (Real, many, Client::Bare(512), 500),
            (Real, many, BareCallers { batching: true, one_thread: false }, 340),
            (Real, many, LeastProducer { batching: true, one_thread: false }, 290),
            (Null, Batches(32), Posthaste, 1_000_000),
            (Null, Batches(32), Client::Bare(32), 5_000_000),
            (Real, many, Java550, 10),
        ]);
        let text = markdown(&session);
        assert!(
            text.contains(
                "1,024 in flight: share of the best bare loop | ≥ 70.0 % | 60.0 % | 68.0 % | 58.0 % | **lost**, by the floor too |"
            ),
            "{text}"
        );
        assert_eq!(
            verdict(1.0, [Some(3.0), Some(1.0)], |figure| figure >= 2.0),
            "**lost**, by the least producer too"
        );
        let singles = "Java 5.5.0's single sends | ≥ 30.0 × | 30.0 × | 34.0 × | 29.0 × | met |";
        assert!(text.contains(singles), "{text}");
        let batches = "batches of 32 | ≥ 4.00 M/s | 1.00 M/s | 5.00 M/s |  | **lost** |";
        assert!(text.contains(batches), "{text}");
        assert!(
            text.contains("| real, ordered by 100 keys | ≥ 100 k/s | – |  |  | not measured |"),
            "{text}"
        );
    }
}
