//! The tables in BENCHMARKS.md.

use std::fmt::Write;
use std::fs;

use anyhow::{Context, Result};

use crate::record::Session;
use crate::workshop::Workshop;
use crate::{chart, goal, loss, table};

const BEGIN: &str = "<!-- bench: begin; written by `bench/run --report` -->";
const END: &str = "<!-- bench: end -->";

/// Writes the session between the markers of BENCHMARKS.md, and draws its charts.
pub(crate) fn write(workshop: &Workshop, session: &Session) -> Result<()> {
    let path = workshop.repository().join("BENCHMARKS.md");
    let text = fs::read_to_string(&path).context("reading BENCHMARKS.md")?;
    fs::write(&path, replaced(&text, &section(session)).context("BENCHMARKS.md has no markers")?)?;
    chart::write(workshop, session)
}

/// The text with what stands between the markers replaced.
fn replaced(text: &str, section: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{section}\n{END}{after}"))
}

fn section(session: &Session) -> String {
    let machine = &session.machine;
    let mut text = format!(
        "Run of {}: {} rounds of {} s each. {} with {} cores, {} GiB, {}; {}; {}; commit {}.\n",
        session.begun,
        session.rounds(),
        session.seconds,
        machine.processor,
        machine.cores,
        machine.memory_gib,
        machine.system,
        machine.java,
        machine.rust,
        machine.commit,
    );
    text += "\n![Apache RocketMQ 5.5.0, 1,024 in flight](bench/results/real-1024.svg)\n";
    text += "\n![On the wire, 256 in flight](bench/results/null-256.svg)\n";
    text += "\n## Goals\n";
    text += &goal::markdown(session);
    text += "\n## Where another client is better\n\n";
    text += &loss::markdown(session);
    text += "\n## Everything\n";
    text += &table::markdown(session);
    if !session.findings.is_empty() {
        text += "\n## Fairness, window, growth\n\n";
        session.findings.iter().for_each(|finding| {
            let _ = writeln!(text, "- {finding}");
        });
    }
    for chart in &session.charts {
        let _ = write!(text, "\n![{}](bench/results/{}.svg)\n", chart.title, chart.name);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let text = format!("head\n{BEGIN}\nold\n{END}\ntail\n");
        let expected = format!("head\n{BEGIN}\nnew\n{END}\ntail\n");
        assert_eq!(replaced(&text, "new"), Some(expected.clone()));
        assert_eq!(replaced(&expected, "new"), Some(expected));
        assert_eq!(replaced("nothing", "new"), None);
    }
}
