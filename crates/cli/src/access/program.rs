//! A program that writes a secret: run without a shell, and not for ever.

use std::io::{self, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::exit::Failure;

/// How long such a program may take: it may ask its user for a password.
pub(super) const LIMIT: Duration = Duration::from_secs(60);
/// No secret is longer.
const LONGEST: u64 = 64 * 1024;
/// How often it is seen whether the program has ended.
const LOOK: Duration = Duration::from_millis(5);

/// What the program writes to stdout.
pub(super) fn output(words: &[String], limit: Duration) -> Result<String, Failure> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(Failure::usage("secret_command is empty"));
    };
    let failed = |why: String| {
        Failure::usage(format!("secret_command {program}: {why}"))
            .help("Run it by itself, and see that it writes the secret to stdout.")
    };
    // It gets nothing of stdin, where messages may come from.
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let read = reading(&mut child);
    let deadline = Instant::now() + limit;
    let status = wait(&mut child, deadline).map_err(|error| failed(error.to_string()))?;
    let Some(status) = status else {
        return Err(failed(format!(
            "it did not end within {} s, and was stopped",
            limit.as_secs()
        )));
    };
    if !status.success() {
        return Err(failed(format!("it failed ({status})")));
    }
    // A child of it may hold its stdout open.
    let left = deadline.saturating_duration_since(Instant::now());
    let bytes = read
        .recv_timeout(left)
        .map_err(|_| failed("it ended, and its stdout stayed open".to_owned()))?
        .map_err(|error| failed(error.to_string()))?;
    String::from_utf8(bytes).map_err(|_| failed("it wrote something that is no text".to_owned()))
}

/// Reads on a thread of its own: a pipe that is full would hold the program up.
fn reading(child: &mut Child) -> mpsc::Receiver<io::Result<Vec<u8>>> {
    let (tell, read) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let result = stdout.take(LONGEST).read_to_end(&mut bytes).map(|_| bytes);
            // After its time no one listens any more.
            let _ = tell.send(result);
        });
    }
    read
}

/// Waits for the end; a program that is late is killed.
fn wait(child: &mut Child, deadline: Instant) -> io::Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(LOOK);
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn no_shell_reads_the_words() {
        assert_eq!(output(&words(&["echo", "$HOME", "a;b"]), LIMIT).unwrap(), "$HOME a;b\n");
    }

    #[test]
    fn a_program_that_gives_no_secret_says_why() {
        for (command, limit, says) in [
            (&["/no/such/program"][..], LIMIT, "No such file"),
            (&["false"], LIMIT, "it failed (exit status: 1)"),
            (&["sleep", "100000"], Duration::from_millis(50), "did not end within"),
            (&[], LIMIT, "is empty"),
        ] {
            let failure = output(&words(command), limit).unwrap_err();
            assert!(failure.message.contains(says), "{command:?}: {failure:?}");
        }
    }
}
