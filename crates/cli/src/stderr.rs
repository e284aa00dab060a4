//! What is said on stderr: errors, warnings, the summary, progress.

mod bar;

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use indicatif::ProgressBar;
use tokio::time::Instant;

use crate::args::{Global, When};
use crate::exit::Failure;

/// How often the bar moves.
const REDRAW: Duration = Duration::from_millis(100);
/// How often a line is written where there is no terminal to draw a bar on.
const REPORT: Duration = Duration::from_secs(1);

/// The voice on stderr.
pub(crate) struct Stderr {
    colour: bool,
    quiet: bool,
    /// The log goes to stderr, too, and knows of no bar.
    logs: bool,
    progress: Progress,
    drawn: Instant,
}

enum Progress {
    None,
    Bar(ProgressBar),
    Lines,
}

impl Stderr {
    pub(crate) fn new(global: &Global) -> Self {
        let colour = Self::has_colour(global.color);
        Self {
            colour,
            quiet: global.quiet,
            logs: global.verbose > 0 || std::env::var_os("POSTHASTE_LOG").is_some(),
            progress: Progress::None,
            drawn: Instant::now(),
        }
    }

    /// Whether stderr is written in colours.
    pub(crate) fn has_colour(when: When) -> bool {
        match when {
            When::Always => true,
            When::Never => false,
            When::Auto => {
                io::stderr().is_terminal()
                    && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
            }
        }
    }

    /// Why a command failed, and what to do about it.
    pub(crate) fn failure(&self, failure: &Failure) {
        self.error(&failure.message);
        for line in &failure.help {
            self.say(&format!("  {line}"));
        }
    }

    pub(crate) fn error(&self, text: &str) {
        self.labelled("error", AnsiColor::Red, text);
    }

    pub(crate) fn warning(&self, text: &str) {
        self.labelled("warning", AnsiColor::Yellow, text);
    }

    /// Something worth knowing, that `-q` silences.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            self.say(text);
        }
    }

    /// A line that is said with any flags, `-q` too.
    pub(crate) fn say(&self, text: &str) {
        // When stderr is closed, no one is left to tell.
        let write = || {
            let _ = writeln!(io::stderr(), "{text}");
        };
        match &self.progress {
            Progress::Bar(bar) => bar.suspend(write),
            _ => write(),
        }
    }

    fn labelled(&self, label: &str, colour: AnsiColor, text: &str) {
        let style = if self.colour {
            Style::new().bold().fg_color(Some(colour.into()))
        } else {
            Style::new()
        };
        self.say(&format!("{style}{label}:{style:#} {text}"));
    }

    /// Begins to show progress, where the flags and the terminal want it.
    pub(crate) fn start_progress(&mut self, when: When) {
        self.progress = match self.wants_progress(when) {
            false => Progress::None,
            true if io::stderr().is_terminal() && !self.logs => Progress::Bar(bar::on_stderr()),
            true => Progress::Lines,
        };
    }

    /// Whether the flags and the terminal want progress.
    pub(crate) fn wants_progress(&self, when: When) -> bool {
        !self.quiet
            && match when {
                When::Always => true,
                When::Never => false,
                When::Auto => io::stderr().is_terminal(),
            }
    }

    /// The bar that is being drawn on the terminal.
    pub(crate) fn bar(&self) -> Option<&ProgressBar> {
        match &self.progress {
            Progress::Bar(bar) => Some(bar),
            Progress::None | Progress::Lines => None,
        }
    }

    /// Shows the state of things, when it is time to; in full, or within this many characters. Says
    /// when to call again.
    pub(crate) fn progress(
        &mut self,
        state: impl FnOnce(Option<usize>) -> String,
    ) -> Option<Instant> {
        let every = match self.progress {
            Progress::None => return None,
            Progress::Bar(_) => REDRAW,
            Progress::Lines => REPORT,
        };
        let now = Instant::now();
        if now < self.drawn + every {
            return Some(self.drawn + every);
        }
        self.drawn = now;
        match &self.progress {
            Progress::None => {}
            Progress::Bar(bar) => {
                bar.set_message(state(Some(bar::WIDTH)));
                bar.tick();
            }
            Progress::Lines => self.say(&state(None)),
        }
        Some(now + every)
    }

    /// Takes the bar off the screen.
    pub(crate) fn end_progress(&mut self) {
        if let Progress::Bar(bar) = std::mem::replace(&mut self.progress, Progress::None) {
            bar.finish_and_clear();
        }
    }
}

/// `1,234,567`
pub(crate) fn thousands(number: u64) -> String {
    indicatif::HumanCount(number).to_string()
}

/// `1 message`, `1,234 messages`
pub(crate) fn counted(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{} {what}s", thousands(number)),
    }
}
