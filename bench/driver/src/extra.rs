//! Runs beside the table: the window over time, several producers on one broker, growth.

mod fairness;
mod growth;
mod trace;

use anyhow::{Result, bail};

use crate::curve::Chart;
use crate::record::Session;
use crate::workshop::Workshop;

/// What an extra has to say.
pub(crate) struct Outcome {
    /// Lines for the report. Each takes the place of the line that begins alike.
    findings: Vec<String>,
    charts: Vec<Chart>,
}

const ALL: [&str; 3] = ["trace", "fairness", "growth"];

/// Runs the extras that are named.
pub(crate) fn run(workshop: &Workshop, wanted: &[String], session: &mut Session) -> Result<()> {
    if let Some(unknown) = wanted.iter().find(|name| *name != "all" && !ALL.contains(&&***name)) {
        bail!("there is no extra {unknown}, but {}", ALL.join(", "));
    }
    for name in ALL {
        if !wanted.iter().any(|wanted| wanted == name || wanted == "all") {
            continue;
        }
        println!("{name} …");
        let outcome = match name {
            "trace" => trace::run(workshop)?,
            "fairness" => fairness::run(workshop)?,
            _ => growth::run(workshop)?,
        };
        session.take(name, outcome);
        session.save(workshop)?;
    }
    Ok(())
}

impl Session {
    /// Keeps an extra's outcome instead of what an earlier run of it said.
    fn take(&mut self, extra: &str, outcome: Outcome) {
        let lead = format!("**{extra}**: ");
        self.findings.retain(|finding| !finding.starts_with(&lead));
        for finding in outcome.findings {
            println!("  {finding}");
            self.findings.push(format!("{lead}{finding}"));
        }
        for chart in outcome.charts {
            self.charts.retain(|old| old.name != chart.name);
            self.charts.push(chart);
        }
    }
}
