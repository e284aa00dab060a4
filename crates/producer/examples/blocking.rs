//! Without `.await`: the same verbs for a program that has no asynchronous runtime.
//!
//! One thread of the producer does the work; calls wait on the caller's thread.

mod support;

use std::error::Error;
use std::time::Duration;

use posthaste::Message;
use posthaste::blocking::Producer;

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    // Only the embedded broker needs this; a cluster somewhere else does not.
    let runtime = tokio::runtime::Runtime::new()?;
    let cluster = runtime.block_on(support::cluster())?;

    let producer = Producer::builder("blocking", cluster.name_servers.as_str()).start()?;
    let receipt = producer.send(Message::new("blocking-topic", "one"))?;
    println!("one: {} at {}", receipt.queue(), receipt.queue_offset());

    let delivery = producer.enqueue(Message::new("blocking-topic", "two"))?;
    println!("two: on its way as {}", delivery.message_id());
    let receipt = delivery.wait()?;
    println!("two: {} at {}", receipt.queue(), receipt.queue_offset());

    let threads: Vec<_> = (0..4)
        .map(|n| {
            let producer = producer.clone();
            std::thread::spawn(move || {
                producer.send(Message::new("blocking-topic", format!("{n}")))
            })
        })
        .collect();
    for thread in threads {
        thread.join().map_err(|_| "a thread panicked")??;
    }
    println!("{} stored", producer.stats().acked);
    producer.close(Duration::from_secs(3));
    Ok(())
}
