//! RocketMQ's command line tool: each call of the table on the embedded broker and on a real one.

mod answer;
mod call;
mod stage;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};

use self::answer::{Judgement, Reader, judge};
use self::call::{Call, Verdict};
use self::stage::{Place, Stage};
use super::Selection;
use super::table;
use super::tally::Tally;
use crate::interop::artefacts::Artefacts;
use crate::interop::version::Version;
use crate::interop::workshop::{self, Workshop};

/// Where the calls are listed.
const TABLE: &str = "mqadmin.md";
const CALLS: &str = "## The calls";
/// Some never end, and show within this time what they have to show.
const LIMIT: Duration = Duration::from_secs(10);

/// Runs the calls that are selected.
pub(crate) fn run(selection: &Selection, workshop: &Workshop) -> Result<Tally> {
    let artefacts = Arc::new(Artefacts::of(Version::V5_5_0, workshop)?);
    let path = workshop::sources().join(TABLE);
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut calls: Vec<Call> =
        table::rows(&text, CALLS)?.iter().map(|row| Call::of_row(row)).collect::<Result<_>>()?;
    calls.retain(|call| selection.takes(&call.line) && (call.for_developers || !selection.quick));

    let folder = workshop.run().join("mqadmin");
    let ask = |place: Place| {
        let folder = folder.join(place.as_str());
        ask_all(&calls, place, &artefacts, &folder).with_context(|| place.as_str())
    };
    let (real, embedded) = thread::scope(|scope| {
        let real = scope.spawn(|| ask(Place::Real));
        let embedded = ask(Place::Embedded);
        (real.join().map_err(|_| anyhow!("panicked, see above")), embedded)
    });
    let (real, embedded) = (real??, embedded?);

    let reader = Reader::new()?;
    let mut tally = Tally::new("mqadmin", "calls");
    for ((call, embedded), real) in calls.iter().zip(embedded).zip(real) {
        let (embedded, real) =
            (reader.read(&embedded, call.compared), reader.read(&real, call.compared));
        note(&mut tally, call, &judge(&embedded, &real, call.compared));
    }
    Ok(tally)
}

/// Sets a stage and runs the calls there, one after another; gives what each printed, and writes it
/// into a file each.
fn ask_all(
    calls: &[Call],
    place: Place,
    artefacts: &Arc<Artefacts>,
    folder: &Path,
) -> Result<Vec<String>> {
    let stage = Stage::set(place, artefacts, folder)?;
    let mut printed = Vec::with_capacity(calls.len());
    for (number, call) in calls.iter().enumerate() {
        let arguments = call.arguments(stage.names())?;
        let text = stage.call(&arguments, LIMIT).with_context(|| call.line.clone())?;
        let kept = format!("$ mqadmin {}\n{text}\n", arguments.join(" "));
        fs::write(folder.join(format!("{number:03}.txt")), kept)?;
        printed.push(text);
    }
    Ok(printed)
}

fn note(tally: &mut Tally, call: &Call, judgement: &Judgement) {
    let line = &call.line;
    match (call.expected, judgement) {
        (Verdict::Right, Judgement::Right) => tally.good(line),
        (Verdict::Refused, Judgement::Refused) => tally.listed(line, "refused on purpose"),
        (_, Judgement::Right) => tally.bad(line, "right, and the table says otherwise"),
        (_, Judgement::Refused) => tally.bad(line, "refused, and a real broker serves it"),
        (_, Judgement::Served) => tally.bad(line, "served, and a real broker refuses it"),
        (_, Judgement::Wrong { lacking, surplus }) => {
            let show = |sign: &str, lines: &[String]| -> String {
                lines.iter().map(|line| format!("\n          {sign} {line}")).collect()
            };
            let what = format!("wrong:{}{}", show("-", lacking), show("+", surplus));
            tally.bad(line, &what);
        }
    }
}
