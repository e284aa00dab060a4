//! `posthaste demo`: what a producer does, with nothing installed.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::{Duration, Instant};

use posthaste::{Message, Producer, ReadMessage};
use posthaste_broker::Broker;

use crate::args::Global;
use crate::cluster;
use crate::exit::{Exit, Failure};
use crate::output::{Stdout, printable};
use crate::stderr::thousands;

const TOPIC: &str = "Demo";
const ASYNC: usize = 10_000;
const ONE_WAY: usize = 100;
const ORDERS: [&str; 3] = ["order-1", "order-2", "order-3"];
const STEPS: [&str; 3] = ["created", "paid", "shipped"];
/// Every message of the demo.
const ALL: usize = 1 + ASYNC + ONE_WAY + ORDERS.len() * STEPS.len();
/// Reading back takes milliseconds; this only keeps a broken demo from hanging.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the command.
pub(crate) async fn run(global: &Global) -> Result<Exit, Failure> {
    cluster::refuse_flags(global, &[], "demo", "starts its own broker")?;
    let mut page = Page(Stdout::new());
    page.line(
        "This demo sends messages through a real broker on this machine. It installs nothing,",
    );
    page.line("and leaves nothing behind.");
    let broker = start_broker(&mut page).await?;
    let name_server = broker.name_server().to_string();
    let producer = Producer::builder("demo-group", name_server).start().await.map_err(failed)?;
    send_sync(&mut page, &producer).await?;
    send_async(&mut page, &producer).await?;
    send_one_way(&mut page, &producer).await?;
    send_ordered(&mut page, &producer).await?;
    read_back(&mut page, &producer).await?;
    close(&mut page, producer, broker).await?;
    page.line("");
    page.line("Your turn:");
    page.line("  posthaste dev                                  a broker to develop against; leave it running");
    page.line("  echo hello | posthaste send Orders             send a line from another terminal");
    page.line("  posthaste tail Orders                          read it back");
    page.line(
        "  posthaste -n HOST:9876 send Orders hello       the same with your own RocketMQ cluster",
    );
    page.0.finish()?;
    Ok(Exit::Done)
}

async fn start_broker(page: &mut Page) -> Result<Broker, Failure> {
    page.heading("1. A broker");
    let started = Instant::now();
    let broker = Broker::builder().start().await.map_err(failed)?;
    let took = millis(started.elapsed());
    page.line(&format!(
        "   Started a name server at {} and a broker at {}",
        broker.name_server(),
        broker.address()
    ));
    page.line(&format!(
        "   inside this process, in {took}. The name server knows which broker has which topic;"
    ));
    page.line("   the broker stores the messages.");
    Ok(broker)
}

async fn send_sync(page: &mut Page, producer: &Producer) -> Result<(), Failure> {
    page.heading("2. Synchronous: send one message and wait for the answer");
    let started = Instant::now();
    let receipt = producer
        .send(Message::new(TOPIC, "hello").tag("sync").key("greeting-1"))
        .await
        .map_err(failed)?;
    let took = millis(started.elapsed());
    page.line(&format!(
        "   \"hello\" is stored: queue {}, offset {}, after {took}.",
        receipt.queue().id(),
        receipt.queue_offset()
    ));
    page.line(&format!("   The topic {TOPIC} did not exist; the first send created it."));
    Ok(())
}

async fn send_async(page: &mut Page, producer: &Producer) -> Result<(), Failure> {
    page.heading("3. Asynchronous: send many, and collect the answers later");
    let started = Instant::now();
    let mut deliveries = Vec::with_capacity(ASYNC);
    for n in 0..ASYNC {
        deliveries.push(
            producer
                .enqueue(Message::new(TOPIC, format!("async {n}")).tag("async"))
                .await
                .map_err(failed)?,
        );
    }
    let mut queues = BTreeMap::<i32, usize>::new();
    for delivery in deliveries {
        let receipt = delivery.await.map_err(failed)?;
        *queues.entry(receipt.queue().id()).or_default() += 1;
    }
    let elapsed = started.elapsed();
    let rate = thousands((ASYNC as f64 / elapsed.as_secs_f64()) as u64);
    page.line(&format!(
        "   {} messages are stored after {}: {rate} a second.",
        thousands(ASYNC as u64),
        millis(elapsed)
    ));
    let shares: Vec<String> = queues
        .iter()
        .map(|(queue, n)| format!("queue {queue}: {}", thousands(*n as u64)))
        .collect();
    page.line(&format!("   They are spread over the topic's queues ({}).", shares.join(", ")));
    Ok(())
}

async fn send_one_way(page: &mut Page, producer: &Producer) -> Result<(), Failure> {
    page.heading("4. One-way: send and do not ask");
    for n in 0..ONE_WAY {
        producer
            .send_oneway(Message::new(TOPIC, format!("tick {n}")).tag("one-way"))
            .await
            .map_err(failed)?;
    }
    page.line(&format!(
        "   {ONE_WAY} messages are on their way. No answer comes, so it stays \
                        unknown whether they are stored:"
    ));
    page.line("   fit for metrics, not for money.");
    Ok(())
}

async fn send_ordered(page: &mut Page, producer: &Producer) -> Result<(), Failure> {
    page.heading("5. Ordered: messages of one key stay in order");
    let mut deliveries = Vec::new();
    for step in STEPS {
        for order in ORDERS {
            let message = Message::new(TOPIC, step).tag("ordered").key(order).order_by(order);
            deliveries.push(producer.enqueue(message).await.map_err(failed)?);
        }
    }
    for delivery in deliveries {
        delivery.await.map_err(failed)?;
    }
    page.line(&format!(
        "   {} orders were {}, all at once. The key picks the queue, and a queue keeps its order.",
        ORDERS.len(),
        STEPS.join(", ")
    ));
    Ok(())
}

async fn read_back(page: &mut Page, producer: &Producer) -> Result<(), Failure> {
    page.heading("6. What was stored");
    let landed = tokio::time::timeout(PATIENCE, read_all(producer))
        .await
        .map_err(|_| failed("not every message could be read back"))??;
    let count = |tag| landed.iter().filter(|message| message.tag() == Some(tag)).count();
    page.line("   Read everything back from the broker:");
    for (what, tag, sent) in [
        ("synchronous", "sync", 1),
        ("asynchronous", "async", ASYNC),
        ("one-way", "one-way", ONE_WAY),
        ("ordered", "ordered", ORDERS.len() * STEPS.len()),
    ] {
        page.line(&format!(
            "   {what:<14}{:>6} of {:>6} sent",
            thousands(count(tag) as u64),
            thousands(sent as u64)
        ));
    }
    for order in ORDERS {
        let steps: Vec<String> = landed
            .iter()
            .filter(|message| message.keys().any(|key| key == order))
            .map(|message| printable(message.body()))
            .collect();
        page.line(&format!("   {order}: {}", steps.join(", then ")));
        if steps != STEPS {
            return Err(failed(format!("the steps of {order} are not in order")));
        }
    }
    Ok(())
}

/// As many messages as were sent.
async fn read_all(producer: &Producer) -> Result<Vec<ReadMessage>, Failure> {
    let mut reader = producer.admin().reader(TOPIC).open().await.map_err(failed)?;
    let mut landed = Vec::with_capacity(ALL);
    while landed.len() < ALL {
        landed.extend(reader.next().await.map_err(failed)?);
    }
    Ok(landed)
}

async fn close(page: &mut Page, producer: Producer, broker: Broker) -> Result<(), Failure> {
    page.heading("7. Close");
    let report = producer.close(Duration::from_secs(3)).await;
    if !report.is_clean() {
        return Err(failed(format!("{} messages were not delivered", report.undelivered.len())));
    }
    broker.stop().await;
    page.line("   The producer waited for what was on its way: nothing was left undelivered. The broker is gone.");
    Ok(())
}

/// What is written, a line at a time, so that it can be read while the demo goes on.
struct Page(Stdout);

impl Page {
    fn heading(&mut self, text: &str) {
        self.line("");
        self.line(text);
    }

    fn line(&mut self, text: &str) {
        self.0.line(format_args!("{text}"));
        self.0.flush();
    }
}

fn failed(error: impl Display) -> Failure {
    Failure::new(Exit::Failed, "demo", format!("the demo failed: {error}"))
}

fn millis(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1_000.0)
}
