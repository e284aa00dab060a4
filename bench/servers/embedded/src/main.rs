//! The embedded broker in a process of its own, with its defaults.
//!
//! It prints the address of its name server, and ends when its standard input closes.

use std::io::Read;

use anyhow::Result;
use posthaste_broker::Broker;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut builder = Broker::builder();
    if let Some(folder) = std::env::args().nth(1) {
        builder = builder.data_dir(folder);
    }
    let broker = runtime.block_on(builder.start())?;
    println!("{}", broker.name_server());
    std::io::stdin().lock().read_to_end(&mut Vec::new())?;
    runtime.block_on(broker.stop());
    Ok(())
}
