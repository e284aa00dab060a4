//! `posthaste context`: the flags of each verb.

use clap::Subcommand;

/// `posthaste context`
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  posthaste context add staging -n mq.staging:9876 --tls-ca ca.pem
  posthaste context use staging
  posthaste context show --why
  posthaste -c staging topic list

A context is a table of config.toml; `posthaste context edit` opens it. Only
there a program can be named that writes the secret; it is run without a shell:
  [context.prod]
  namesrv = \"mq1.prod:9876;mq2.prod:9876\"
  access_key = \"orders\"
  secret_command = [\"pass\", \"show\", \"rocketmq/orders\"]

A project file, .posthaste.toml, may say which context its directory uses, or
name servers on this machine, and output, color and topic_queues.")]
pub(crate) enum Context {
    /// List the contexts; the selected one is marked
    List,
    /// Keep the options of this command as a context
    ///
    /// It takes the options that say which cluster is meant and how it is reached: -n, --tls-ca,
    /// --access-key and so on. The first context that is added is selected.
    Add {
        /// Name of the context
        name: String,
    },
    /// Change a context by the options of this command; without any, open config.toml in $VISUAL or
    /// $EDITOR
    Edit(ContextEdit),
    /// Select the context that is used when nothing else names one; `-` is the one before
    Use {
        /// Name of the context, or -
        name: String,
    },
    /// Show the values of a context, by default of the one that is used here
    Show {
        /// Name of the context
        name: Option<String>,
        /// Show every value that counts, and where each comes from
        #[arg(long)]
        why: bool,
    },
    /// Connect to the cluster of a context, by default of the one that is used here
    Check {
        /// Name of the context
        name: Option<String>,
    },
    /// Remove a context
    ///
    /// On a terminal, the command asks. Without a terminal it needs --yes. Files that the context
    /// names stay.
    Rm {
        /// Name of the context
        name: String,
        /// Do not ask
        #[arg(short, long)]
        yes: bool,
    },
}

/// `posthaste context edit`
#[derive(Debug, clap::Args)]
pub(crate) struct ContextEdit {
    /// Name of the context
    pub(crate) name: Option<String>,
    /// Take this value out of the context, such as tls_ca (repeatable)
    #[arg(long, value_name = "VALUE", requires = "name")]
    pub(crate) unset: Vec<String>,
}

impl Context {
    /// The command's name, as JSON lines spell it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::List => "context list",
            Self::Add { .. } => "context add",
            Self::Edit(_) => "context edit",
            Self::Use { .. } => "context use",
            Self::Show { .. } => "context show",
            Self::Check { .. } => "context check",
            Self::Rm { .. } => "context rm",
        }
    }

    /// The context that the command is about as if `-c` had named it.
    pub(crate) fn chosen(&self) -> Option<&str> {
        match self {
            Self::Show { name, .. } | Self::Check { name } => name.as_deref(),
            _ => None,
        }
    }
}
