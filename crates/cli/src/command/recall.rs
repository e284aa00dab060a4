//! `posthaste recall`: takes back a message with a delivery time before it is delivered.

use posthaste::AdminError;
use serde::Serialize;

use crate::args::{self, Format, Global};
use crate::cluster;
use crate::envelope::VERSION;
use crate::exit::{Exit, Failure};
use crate::output::Stdout;

/// Runs the command.
pub(crate) async fn run(global: &Global, args: &args::Recall) -> Result<Exit, Failure> {
    let producer = cluster::start(cluster::producer(global)?).await?;
    let msg_id = producer.recall(&args.handle).await.map_err(|error| failure(&error))?;
    let mut stdout = Stdout::new();
    match global.output {
        Format::Text => stdout.line(format_args!("recalled  {msg_id}")),
        Format::Json => stdout.json(&Recalled { _cmd: "recall", _v: VERSION, msg_id }),
    }
    stdout.finish()?;
    Ok(Exit::Done)
}

fn failure(error: &AdminError) -> Failure {
    let failure = cluster::failure(error);
    match error {
        AdminError::Invalid(why) => Failure::usage(why)
            .help("`send --delay` prints the handle: recall=HANDLE, or \"recall_handle\" in JSON."),
        AdminError::Denied { .. } => {
            failure.help("Brokers take messages back only with recallMessageEnable=true.")
        }
        AdminError::Timeout(_) => Failure { exit: Exit::Partial, ..failure }
            .help("It is unknown whether the message is taken back."),
        _ => failure,
    }
}

#[derive(Serialize)]
struct Recalled {
    _cmd: &'static str,
    _v: u32,
    msg_id: String,
}
