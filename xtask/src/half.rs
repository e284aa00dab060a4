//! Begins a transaction and waits to be killed: a producer that dies between its half message and
//! its decision.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use posthaste::{Message, Producer, TransactionState};

/// What to send, and where.
#[derive(Debug, Args)]
pub(crate) struct Half {
    #[arg(long)]
    name_server: String,
    #[arg(long)]
    group: String,
    #[arg(long)]
    topic: String,
    #[arg(long)]
    body: String,
}

/// Prints the message's id once the half message is stored.
pub(crate) fn run(half: &Half) -> ExitCode {
    match begin(half) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn begin(half: &Half) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let producer = Producer::builder(half.group.as_str(), half.name_server.as_str())
            .transaction_checker(|_| async { TransactionState::Unknown })
            .start()
            .await?;
        let message = Message::new(half.topic.as_str(), half.body.clone());
        let transaction = producer.begin(message).await?;
        println!("{}", transaction.message_id());
        std::future::pending().await
    })
}
