//! The goals, and what this run says of them.

use std::fmt::Write;

use crate::case::{Case, Scenario, ServerKind};
use crate::client::{
    BARE_CALLERS, Batching, Client, JAVA_550, JAVA_550_AUTO_BATCH, Kind, LEAST_PRODUCER, POSTHASTE,
    POSTHASTE_UNBATCHED, POSTHASTE_UNLIMITED, bare,
};
use crate::record::{Record, Session};
use crate::table::{count, digits};

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
fn floors(batching: Batching, one_thread: bool) -> [Client; 2] {
    [BARE_CALLERS, LEAST_PRODUCER].map(|floor| Client { batching, one_thread, ..floor })
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
        self.best(server, scenario, |client| matches!(client.kind, Kind::Bare(_)))
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
        [("", POSTHASTE_UNBATCHED, false), (", one thread", POSTHASTE_UNBATCHED.one_thread(), true)]
    {
        let real = singles(Real, POSTHASTE_UNBATCHED);
        goal(
            &format!(
                "embedded broker, 1,024 in flight, batching off{runtime}: against the real broker"
            ),
            ratio(singles(Embedded, client), real),
            floors(Batching::Off, one_thread).map(|floor| ratio(singles(Embedded, floor), real)),
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
        ratio(figures.p50(Real, one, POSTHASTE), figures.p50(Real, one, bare(1))),
        NO_FLOORS,
        AtMost(1.15),
        "×",
    );
    for (runtime, client, one_thread) in
        [("", POSTHASTE, false), (", one thread", POSTHASTE.one_thread(), true)]
    {
        goal(
            &format!("real, 1,024 in flight{runtime}: client CPU per message"),
            figures.cpu(Real, many, client),
            floors(Batching::Usual, one_thread).map(|floor| figures.cpu(Real, many, floor)),
            AtMost(1.5),
            "µs",
        );
    }
    let p99 = figures
        .median(Case { server: Real, scenario: many, body: 128, client: POSTHASTE }, |r| {
            r.measurement.p99_us / 1000.0
        });
    goal("real, 1,024 in flight: p99", p99, NO_FLOORS, AtMost(50.0), "ms");
    for size in [10_000, 20_000] {
        let case = || Case { server: Real, scenario: Burst(size), body: 128, client: POSTHASTE };
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
    let rate = |scenario| figures.rate(Real, scenario, POSTHASTE);
    let floor =
        |scenario| floors(Batching::Usual, false).map(|floor| figures.rate(Real, scenario, floor));
    let bare = |scenario| figures.best_bare(Real, scenario);
    for (client, name, bound) in
        [(JAVA_550, "single sends", 30.0), (JAVA_550_AUTO_BATCH, "auto-batching", 2.0)]
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

const SINGLES: Then = Then { scenario: InFlight(1024), bare: bare(1), rate: 1.4e6, cpu: 0.5 };
const BATCHES: Then = Then { scenario: Batches(32), bare: bare(32), rate: 11.5e6, cpu: 0.08 };

fn null(figures: &Figures<'_>, goal: &mut Add<'_>) {
    let (one, several) = (InFlight(1), InFlight(256));
    goal(
        "null, one at a time: p50 against the bare loop",
        ratio(figures.p50(Null, one, POSTHASTE), figures.p50(Null, one, bare(1))),
        NO_FLOORS,
        AtMost(1.5),
        "×",
    );
    let rival = figures.best(Null, several, Client::is_rival);
    for (runtime, one_thread) in [("", false), (", one thread", true)] {
        null_rates(figures, runtime, one_thread, goal);
        goal(
            &format!("null, 256 in flight{runtime}: against the best other client"),
            ratio(figures.rate(Null, several, Client { one_thread, ..POSTHASTE }), rival),
            NO_FLOORS,
            AtLeast(10.0),
            "×",
        );
    }
    let memory = Case { server: Null, scenario: InFlight(1024), body: 128, client: POSTHASTE };
    goal(
        "null, 1,024 in flight: peak memory",
        figures.median(memory, Record::peak_rss_mib),
        NO_FLOORS,
        AtMost(16.0),
        "MiB",
    );
}

/// The goals of rates on the null broker, and of what they cost, on one kind of runtime.
fn null_rates(figures: &Figures<'_>, runtime: &str, one_thread: bool, goal: &mut Add<'_>) {
    let mut both = |about: &str, row: &Row, rate, cpu: Option<f64>| {
        let about = format!("null, {about}{runtime}");
        let rates = |scenario, client| figures.rate(Null, scenario, client);
        let beside = ": against the bare loop";
        row.judge(&about, beside, &rates, AtLeast, (rate, row.then.rate), "/s", goal);
        let Some(cpu) = cpu else { return };
        let about = format!("{about}: client CPU per message");
        let cpus = |scenario, client| figures.cpu(Null, scenario, client);
        let beside = " against the bare loop's";
        row.judge(&about, beside, &cpus, AtMost, (cpu, row.then.cpu), "µs", goal);
    };
    let row = |scenario, client: Client, then| {
        let floors = floors(client.batching, one_thread).map(Some);
        Row { scenario, client: Client { one_thread, ..client }, floors, then }
    };
    let unbatched = row(InFlight(256), POSTHASTE_UNBATCHED, &SINGLES);
    both("256 in flight, batching off", &unbatched, 650_000.0, Some(2.0));
    both("256 in flight", &row(InFlight(256), POSTHASTE, &SINGLES), 2e6, None);
    let unlimited = row(Oneway(256), POSTHASTE_UNLIMITED, &SINGLES);
    both("one-way, unlimited", &unlimited, 1.3e6, Some(1.0));
    let batches = Row { floors: [Some(bare(32)), None], ..row(Batches(32), POSTHASTE, &BATCHES) };
    both("explicit batches of 32", &batches, 4e6, Some(0.35));
}

/// What is judged as it stands, and in the bare loop's measure.
struct Row {
    scenario: Scenario,
    client: Client,
    floors: [Option<Client>; 2],
    then: &'static Then,
}

impl Row {
    /// Adds both goals for one figure: `wanted`, where the bare loop once had `was`.
    #[allow(clippy::too_many_arguments, reason = "they are the columns of a table")]
    fn judge(
        &self,
        about: &str,
        beside: &str,
        of: &dyn Fn(Scenario, Client) -> Option<f64>,
        bound: fn(f64) -> Bound,
        (wanted, was): (f64, f64),
        unit: &'static str,
        goal: &mut Add<'_>,
    ) {
        let (figure, now) =
            (of(self.scenario, self.client), of(self.then.scenario, self.then.bare));
        let floors = self.floors.map(|floor| of(self.scenario, floor?));
        goal(about, figure, floors, bound(wanted), unit);
        let (figure, floors) = (ratio(figure, now), floors.map(|floor| ratio(floor, now)));
        goal(&format!("{about}{beside}"), figure, floors, bound(wanted / was), "×");
    }
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

/// The table of the goals as Markdown. It marks the goals that are lost, and says whether a floor loses
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
            (Real, many, POSTHASTE, 300),
            (Real, many, bare(1), 40),
            (Real, many, bare(512), 500),
            (Real, many, BARE_CALLERS, 340),
            (Real, many, LEAST_PRODUCER, 290),
            (Null, Batches(32), POSTHASTE, 1_000_000),
            (Null, Batches(32), bare(32), 5_000_000),
            (Real, many, JAVA_550, 10),
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
