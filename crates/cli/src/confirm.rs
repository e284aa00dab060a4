//! Questions before something is lost.

use std::io::{self, BufRead, IsTerminal, Write};

use crate::exit::{Exit, Failure};

/// Asks on the terminal. Where there is none, nothing is taken for a yes. `done` is what would be
/// done to it (`deleted`), by this verb (`delete`).
pub(crate) fn confirm(question: &str, done: &str, verb: &str) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        return Err(Failure::usage(format!("{question} There is no terminal to ask on."))
            .help(format!("Nothing was {done}. To {verb} it: this command again with --yes.")));
    }
    let mut answer = String::new();
    let asked = write!(io::stderr(), "{question} [y/N] ").and_then(|()| io::stderr().flush());
    asked.and_then(|()| io::stdin().lock().read_line(&mut answer)).map_err(|error| {
        Failure::new(Exit::Failed, "system", format!("cannot ask on the terminal: {error}"))
    })?;
    match is_yes(&answer) {
        true => Ok(()),
        false => Err(Failure::new(Exit::Failed, "declined", format!("nothing was {done}"))),
    }
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_a_yes_is_a_yes() {
        for (answer, yes) in [
            ("y\n", true),
            (" Yes \r\n", true),
            ("YES", true),
            ("", false),
            ("\n", false),
            ("n\n", false),
            ("yesterday\n", false),
        ] {
            assert_eq!(is_yes(answer), yes, "{answer:?}");
        }
    }
}
