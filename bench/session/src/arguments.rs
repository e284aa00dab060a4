//! What a client is told to do.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, ValueEnum};

/// The command line of every client.
#[derive(Debug, Clone, Args)]
pub struct Arguments {
    /// Address of the name server, `host:port`.
    #[arg(long)]
    pub name_server: String,
    /// The topic to send to; it exists.
    #[arg(long)]
    pub topic: String,
    /// What is sent, and how.
    #[arg(long)]
    pub shape: Shape,
    /// Requests in flight: callers, or batches; for a burst the messages of it.
    #[arg(long, default_value_t = 1)]
    pub in_flight: usize,
    /// Messages of one batch.
    #[arg(long, default_value_t = 1)]
    pub batch: usize,
    /// Bytes of a body.
    #[arg(long, default_value_t = 128)]
    pub body: usize,
    /// How long to warm up, in ms.
    #[arg(long, default_value_t = 0)]
    pub warm_up_ms: u64,
    /// How long to send in the measured interval, in ms.
    #[arg(long, default_value_t = 1000)]
    pub measure_ms: u64,
    /// Ends the measured interval after so many messages instead.
    #[arg(long)]
    pub messages: Option<u64>,
    /// A setting that only this client knows; may be given several times.
    #[arg(long)]
    pub with: Vec<String>,
}

/// What is sent, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// Callers that each send one message and await its answer, again and again.
    Callers,
    /// One caller that keeps many messages on their way.
    Pipeline,
    /// Messages without an answer.
    Oneway,
    /// Batches made by the caller.
    Batch,
    /// Callers that each send in the order of one of 100 keys.
    Ordered,
    /// So many messages at once, once, with nothing warmed up.
    Burst,
}

impl Shape {
    /// The shape's name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Callers => "callers",
            Self::Pipeline => "pipeline",
            Self::Oneway => "oneway",
            Self::Batch => "batch",
            Self::Ordered => "ordered",
            Self::Burst => "burst",
        }
    }
}

impl Arguments {
    /// How long to warm up.
    pub fn warm_up(&self) -> Duration {
        Duration::from_millis(self.warm_up_ms)
    }

    /// How long to send in the measured interval.
    pub fn measure(&self) -> Duration {
        Duration::from_millis(self.measure_ms)
    }

    /// Whether a setting of the client's own is given.
    pub fn has(&self, setting: &str) -> bool {
        self.with.iter().any(|with| with == setting)
    }

    /// The value of a setting of the client's own that is given as `name=value`.
    pub fn value(&self, setting: &str) -> Option<&str> {
        self.with.iter().find_map(|with| with.strip_prefix(setting)?.strip_prefix('='))
    }

    /// The topics that callers take turns on: the one, or as many as `topics=N` says, numbered.
    ///
    /// # Errors
    /// When it says no number.
    pub fn topics(&self) -> Result<Vec<Arc<str>>> {
        let Some(count) = self.value("topics") else { return Ok(vec![self.topic.as_str().into()]) };
        Ok((0..count.parse()?).map(|n: usize| format!("{}-{n}", self.topic).into()).collect())
    }

    /// The command line that says the same.
    pub fn to_command_line(&self) -> Vec<String> {
        let mut line = Vec::new();
        let mut put = |name: &str, value: String| line.extend([format!("--{name}"), value]);
        put("name-server", self.name_server.clone());
        put("topic", self.topic.clone());
        put("shape", self.shape.name().to_owned());
        put("in-flight", self.in_flight.to_string());
        put("batch", self.batch.to_string());
        put("body", self.body.to_string());
        put("warm-up-ms", self.warm_up_ms.to_string());
        put("measure-ms", self.measure_ms.to_string());
        if let Some(messages) = self.messages {
            put("messages", messages.to_string());
        }
        for with in &self.with {
            put("with", with.clone());
        }
        line
    }
}
