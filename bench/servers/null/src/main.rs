//! A name server and brokers that answer every send at once and store nothing.
//!
//! It shows what a client can do when the broker costs next to nothing: one thread, no parsing of
//! sends beyond finding the few bytes that decide the answer. It counts the messages, those in
//! batches too, by walking their bodies.
//!
//! It prints the address of its name server, and its count whenever it reads the line `count`.

mod answer;
mod conversation;
mod glance;
mod listeners;
mod route;
mod scan;

use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Result;
use clap::Parser;

use listeners::Listeners;

#[derive(Parser)]
#[command(about = "A name server and brokers that answer every send at once and store nothing")]
struct Arguments {
    /// How many brokers to play, each on a port of its own.
    #[arg(long, default_value_t = 1)]
    brokers: usize,
    /// How many queues a topic has on each broker. Every topic exists.
    #[arg(long, default_value_t = 8)]
    queues: i32,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let count = Arc::new(AtomicU64::new(0));
    let listeners = Listeners::bind(arguments.brokers, arguments.queues, count.clone())?;
    say(&listeners.name_server()?.to_string())?;
    std::thread::spawn(move || listeners.serve());
    for line in std::io::stdin().lock().lines() {
        if line?.trim() == "count" {
            say(&count.load(Ordering::Relaxed).to_string())?;
        }
    }
    // Whoever started it is gone.
    Ok(ExitCode::SUCCESS)
}

fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
