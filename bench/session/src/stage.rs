//! The client's side of the conversation with the driver.

use std::io::{self, BufRead, Read, Write};

use anyhow::{Result, bail};

use crate::Measurement;

/// Standard input and output of a client.
#[derive(Debug, Default)]
pub struct Stage;

impl Stage {
    /// Says that the client is warm, and waits to be told to begin.
    ///
    /// # Errors
    /// When the driver is gone.
    pub fn ready(&self) -> Result<()> {
        say("ready")?;
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line)?;
        if line.trim() != "go" {
            bail!("the driver said {line:?} instead of `go`");
        }
        Ok(())
    }

    /// Says what was measured, and waits for the driver to let go.
    ///
    /// # Errors
    /// When the driver is gone.
    pub fn report(&self, measurement: &Measurement) -> Result<()> {
        say(&serde_json::to_string(measurement)?)?;
        io::stdin().lock().read_to_end(&mut Vec::new())?;
        Ok(())
    }
}

fn say(line: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
