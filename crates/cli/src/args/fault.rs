//! The flags of `posthaste fault`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;
use clap::builder::NonEmptyStringValueParser;

use crate::value;

/// `posthaste fault`
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Rules have the words of `posthaste dev --fault`. Refuse three sends, and wait
until the producer has met them:
  posthaste fault add on=send topic=orders first=3 do=refuse code=SYSTEM_BUSY
  posthaste fault wait 1 --hits 3
  posthaste fault rm 1
An unknown word is an error that lists the known ones.

Exit codes:
  0    done
  1    failed: too few requests were hit in time, or there is no such rule
  2    usage, or a rule that makes no sense
  3    unreachable: no inspector answers there
  5    refused: the password is missing or wrong")]
pub(crate) struct Fault {
    #[command(flatten)]
    pub(crate) inspector: InspectorAt,
    #[command(subcommand)]
    pub(crate) verb: FaultVerb,
}

/// Which inspector is asked.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Inspector (HTTP)")]
pub(crate) struct InspectorAt {
    /// Where the inspector is, as `posthaste dev` says it; http:// in front is allowed
    ///
    /// Without this option, the environment variable POSTHASTE_HTTP is used, then 127.0.0.1:9877. An
    /// empty variable counts as not set.
    #[arg(long = "http", global = true, value_name = "HOST:PORT")]
    pub(crate) address: Option<String>,

    /// File with the password of the inspector
    ///
    /// Without this option, the environment variable POSTHASTE_HTTP_PASSWORD is used.
    #[arg(long = "http-password-file", global = true, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
}

/// What is done with rules.
#[derive(Debug, Subcommand)]
pub(crate) enum FaultVerb {
    /// Add a rule behind those that there are
    Add {
        /// The rule, in one argument or a word each
        #[arg(value_name = "RULE", required = true, value_parser = NonEmptyStringValueParser::new())]
        words: Vec<String>,
    },
    /// List the rules, in the order in which they are asked, with what they have hit
    List,
    /// Wait until a rule has hit enough requests
    Wait {
        /// Number of the rule
        id: u64,
        /// Requests that it has to have hit, those before this command too
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
        hits: u64,
        /// How long to wait
        #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = value::duration)]
        within: Duration,
    },
    /// Remove rules
    Rm {
        /// Numbers of the rules
        #[arg(value_name = "ID", required_unless_present = "all", conflicts_with = "all")]
        ids: Vec<u64>,
        /// Remove all rules
        #[arg(long)]
        all: bool,
    },
}
