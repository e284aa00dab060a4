//! The line at the bottom of a terminal that says how far things have come.

use std::io;

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

/// Columns that a bar takes at most. A terminal that becomes as narrow as 40 columns does not wrap
/// it then: of a line that was wrapped only a part would be cleared.
const COLUMNS: u16 = 39;
/// Characters of what a bar says: the spinner and a space stand before it.
pub(crate) const WIDTH: usize = COLUMNS as usize - 2;

/// A bar on stderr.
pub(crate) fn on_stderr() -> ProgressBar {
    on(Term::buffered_stderr())
}

fn on(terminal: impl TermLike + 'static) -> ProgressBar {
    let target = ProgressDrawTarget::term_like(Box::new(Narrow(terminal)));
    let bar = ProgressBar::with_draw_target(None, target);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
        bar.set_style(style);
    }
    bar
}

/// A terminal that is said to have so few columns: a bar is filled up with spaces to the last of
/// them.
#[derive(Debug)]
struct Narrow<T>(T);

impl<T: TermLike> TermLike for Narrow<T> {
    fn width(&self) -> u16 {
        self.0.width().min(COLUMNS)
    }

    fn height(&self) -> u16 {
        self.0.height()
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_up(n)
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_down(n)
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_right(n)
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.0.move_cursor_left(n)
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.0.write_line(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.0.write_str(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.0.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use indicatif::InMemoryTerm;

    use super::*;
    use crate::output::Stdout;

    const RECEIPT: &str = "stored  o  broker=dev queue=0 offset=20  C00002021FC8B6A728385CCDF1BA00";

    /// What a terminal of this many columns makes of lines.
    fn wrapped(lines: &[String], columns: usize) -> String {
        let rows = lines.iter().flat_map(|line| {
            let letters: Vec<char> = line.chars().collect();
            letters.chunks(columns).map(|row| row.iter().collect::<String>()).collect::<Vec<_>>()
        });
        rows.map(|row| row.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn receipts_on_the_terminal_of_a_bar_leave_no_pieces_of_it() {
        for columns in [40, 80] {
            let terminal = InMemoryTerm::new(40, columns);
            let bar = on(terminal.clone());
            let screen = Screen(terminal.clone());
            let mut stdout = Stdout::to(Box::new(screen)).beside(Some(bar.clone()));
            let mut lines = Vec::new();
            for n in 10..15 {
                let message = format!("{n},345 stored, 10,000/s, 16 in flight");
                bar.set_message(message.clone());
                bar.tick();
                let receipt = format!("{RECEIPT}{n}");
                stdout.line(format_args!("{receipt}"));
                stdout.flush();
                lines.push(receipt);
                let shown = terminal.contents();
                let above = format!("{}\n", wrapped(&lines, columns.into()));
                let drawn = shown.strip_prefix(&above);
                let drawn = drawn.unwrap_or_else(|| panic!("{columns} columns:\n{shown}"));
                assert!(drawn.contains(&message), "{columns} columns:\n{shown}");
            }
            bar.finish_and_clear();
            stdout.line(format_args!("the last"));
            stdout.flush();
            lines.push("the last".into());
            assert_eq!(terminal.contents(), wrapped(&lines, columns.into()), "{columns} columns");
        }
    }

    #[test]
    fn a_terminal_that_becomes_narrow_wraps_no_bar() {
        let terminal = InMemoryTerm::new(10, 80);
        let bar = on(terminal.clone());
        for message in ["x".to_owned(), "x".repeat(WIDTH)] {
            bar.set_message(message);
            bar.tick();
            // What is written next shows how far the line goes, spaces included.
            terminal.write_str("|").unwrap();
            assert_eq!(terminal.contents().chars().position(|c| c == '|'), Some(39));
        }
    }

    /// The other end of stdout.
    struct Screen(InMemoryTerm);

    impl io::Write for Screen {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let text = std::str::from_utf8(bytes).unwrap();
            self.0.write_str(&text.replace('\n', "\r\n"))?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
}
