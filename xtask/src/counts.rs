//! Allocations and instructions of each operation, compared with the table in `COUNTS.md`.
//!
//! Counts do not depend on how busy a machine is, so that a regression shows as a ratio where a
//! time would be noise.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde::Deserialize;

/// How often an operation runs while its allocations are counted.
const RUNS: u32 = 200;
/// Instructions are counted over this many runs. The instructions of a tenth as many runs are subtracted:
/// so work that is done once at the start does not count.
const RUNS_UNDER_VALGRIND: u32 = 100;
/// How much more may be executed than the table says.
const TOLERATED_RATIO: f64 = 1.10;
/// A buffer that happens to grow once more is no regression, nor is a batch more out of hundreds.
const TOLERATED_ALLOCATIONS: f64 = 0.05;
const TOLERATED_SHARE: f64 = 0.01;

/// The programs that run the operations.
const PROGRAMS: [&[&str]; 2] =
    [&["--package", "posthaste"], &["--package", "posthaste-broker", "--features", "bench"]];

const INTRODUCTION: &str = "\
# Allocations and instructions of each operation

`cargo xtask counts --save` writes this table; `cargo xtask counts` compares with it. Valgrind counts the
instructions. The rows of sends count the instructions of both sides, the producer and a peer that answers
at once, and the allocations of the producer's thread alone. The last rows count the embedded broker's
thread, from a frame to its answer, without sockets and with messages in memory. Bodies have 128 bytes.
Instructions depend on the compiler: with a compiler other than the one named here, they are shown and not
judged.
";

/// What to count.
#[derive(Debug, Args)]
pub(crate) struct Selection {
    /// Rewrites the table.
    #[arg(long, conflicts_with = "words")]
    save: bool,
    /// Only operations with these words in their names.
    words: Vec<String>,
}

/// What one run of an operation takes.
#[derive(Debug, Clone, Copy)]
struct Count {
    /// `None` without valgrind.
    instructions: Option<u64>,
    allocations: f64,
}

/// Counts, compares, prints.
pub(crate) fn run(selection: &Selection) -> ExitCode {
    match count_all(selection) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("counts: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn count_all(selection: &Selection) -> Result<bool> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let programs: Vec<PathBuf> =
        PROGRAMS.iter().map(|arguments| build(&root, arguments)).collect::<Result<_>>()?;
    let compiler = output(Command::new("rustc").arg("--version"))?.trim().to_owned();
    let valgrind = output(Command::new("valgrind").arg("--version")).is_ok();
    if !valgrind {
        println!("counts: there is no valgrind, so instructions are not counted");
    }
    let table = root.join("COUNTS.md");
    let text = std::fs::read_to_string(&table).unwrap_or_default();
    let (saved, judged) = (read_table(&text), text.contains(&compiler));
    let mut good = true;
    let mut rows = String::new();
    println!(
        "{:40} {:>12} {:>7} {:>11} {:>7}",
        "operation", "instructions", "ratio", "allocations", "more"
    );
    for program in &programs {
        for name in output(&mut Command::new(program))?.lines() {
            if !selection.words.iter().all(|word| name.contains(word)) {
                continue;
            }
            let count = count(program, name, valgrind).with_context(|| name.to_owned())?;
            let verdict = compare(name, count, saved.get(name).copied(), judged);
            good &= verdict;
            let instructions = count.instructions.map(|n| n.to_string()).unwrap_or_default();
            writeln!(rows, "| {name} | {instructions} | {:.2} |", count.allocations)?;
        }
    }
    if selection.save {
        ensure!(valgrind, "a table needs valgrind");
        let head = "| operation | instructions | allocations |\n|---|---:|---:|\n";
        std::fs::write(&table, format!("{INTRODUCTION}\n`{compiler}`\n\n{head}{rows}"))?;
        return Ok(true);
    }
    Ok(good)
}

/// Builds a program that runs operations; says where it is.
fn build(root: &Path, arguments: &[&str]) -> Result<PathBuf> {
    #[derive(Deserialize)]
    struct Message {
        executable: Option<PathBuf>,
    }
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root).args(["bench", "--no-run", "--bench", "counts"]).args(arguments);
    command.args(["--quiet", "--message-format", "json"]);
    output(&mut command)?
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok()?.executable)
        .next_back()
        .context("cargo built no program")
}

fn count(program: &Path, name: &str, valgrind: bool) -> Result<Count> {
    let allocations = output(Command::new(program).args([name, &RUNS.to_string()]))?;
    let allocations: f64 = allocations.trim().parse()?;
    let instructions = match valgrind {
        true => {
            let few = instructions(program, name, RUNS_UNDER_VALGRIND / 10)?;
            let many = instructions(program, name, RUNS_UNDER_VALGRIND)?;
            let runs = u64::from(RUNS_UNDER_VALGRIND - RUNS_UNDER_VALGRIND / 10);
            Some(many.saturating_sub(few) / runs)
        }
        false => None,
    };
    Ok(Count { instructions, allocations: allocations / f64::from(RUNS) })
}

/// All that is executed while a program runs an operation so often.
fn instructions(program: &Path, name: &str, runs: u32) -> Result<u64> {
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
        .arg(program)
        .args([name, &runs.to_string()]);
    let result = command.output()?;
    let report = String::from_utf8_lossy(&result.stderr);
    ensure!(result.status.success(), "{report}");
    let refs =
        report.lines().find_map(|line| line.split_once("I   refs:").or(line.split_once("I refs:")));
    let (_, number) = refs.context("valgrind does not say how much was executed")?;
    Ok(number.trim().replace(',', "").parse()?)
}

/// Prints one line; says whether it is as good as the table has it.
fn compare(name: &str, now: Count, saved: Option<Count>, judged: bool) -> bool {
    let ratio = saved.and_then(|saved| Some(now.instructions? as f64 / saved.instructions? as f64));
    let more = saved.map(|saved| now.allocations - saved.allocations);
    let slower = judged && ratio.is_some_and(|ratio| ratio > TOLERATED_RATIO);
    let tolerated = TOLERATED_ALLOCATIONS + TOLERATED_SHARE * saved.map_or(0.0, |s| s.allocations);
    let hungrier = more.is_some_and(|more| more > tolerated);
    let instructions = now.instructions.map(|n| n.to_string()).unwrap_or_default();
    let ratio = ratio.map_or("new".to_owned(), |ratio| format!("{ratio:.2}"));
    let more = more.map_or("new".to_owned(), |more| format!("{more:+.2}"));
    let mark = if slower || hungrier { "  WORSE" } else { "" };
    println!("{name:40} {instructions:>12} {ratio:>7} {:>11.2} {more:>7}{mark}", now.allocations);
    !slower && !hungrier
}

/// The rows of the table that is kept.
fn read_table(text: &str) -> BTreeMap<&str, Count> {
    let row = |line| {
        let cells: Vec<&str> = str::split(line, '|').map(str::trim).collect();
        let &[_, name, instructions, allocations, _] = cells.as_slice() else { return None };
        let allocations = allocations.parse().ok()?;
        Some((name, Count { instructions: instructions.parse().ok(), allocations }))
    };
    text.lines().filter_map(row).collect()
}

fn output(command: &mut Command) -> Result<String> {
    let result = command.output().with_context(|| format!("{command:?}"))?;
    let report = String::from_utf8_lossy(&result.stderr);
    ensure!(result.status.success(), "{command:?}: {report}");
    Ok(String::from_utf8(result.stdout)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(instructions: u64, allocations: f64) -> Count {
        Count { instructions: Some(instructions), allocations }
    }

    #[test]
    fn the_table_is_read() {
        let text =
            "| operation | instructions | allocations |\n|---|---:|---:|\n| a b | 12 | 0.50 |\n";
        let table = read_table(text);
        assert_eq!(table.len(), 1);
        assert_eq!(table["a b"].instructions, Some(12));
        assert_eq!(table["a b"].allocations, 0.5);
    }

    #[test]
    fn what_is_worse() {
        let saved = Some(count(1000, 2.0));
        assert!(compare("the same", count(1100, 2.0), saved, true));
        assert!(compare("new", count(1, 1.0), None, true));
        assert!(!compare("slower", count(1101, 2.0), saved, true));
        assert!(compare("another compiler", count(2000, 2.0), saved, false));
        assert!(!compare("hungrier", count(1000, 2.1), saved, false));
    }
}
