//! One round: servers on a separate thread, a producer and its callers, trouble, calm, the end, and
//! the judge.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use anyhow::{Context as _, Result};
use posthaste::{CloseReport, Message, Producer, Stats, blocking};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::calm;
use super::facts::{Closed, Counted, Facts};
use super::fault::{Counts, Fault};
use super::journal::Journal;
use super::oracle::{self, Lie};
use super::panics;
use super::plan::{Plan, TROUBLE, Threads};
use super::pulse::{Pulse, Pulses};
use super::trouble::Servers;
use super::verbs::{Hand, Stage, Watch, check, check_blocking, number_of};
use super::world::World;

/// Beyond this something hangs.
const HANG: Duration = Duration::from_secs(30);
/// So long after `close` nothing is left of a producer. A connection that no route leads to any more, to a
/// broker that owes it an answer, is there until the broker is taken for dead.
const GONE: Duration = Duration::from_secs(40);

/// What came of a round.
pub(super) struct Judged {
    pub(super) facts: Facts,
    pub(super) lies: Vec<Lie>,
}

/// The servers' thread.
struct Backstage {
    servers: Servers,
    handle: Handle,
    pulse: Pulse,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Backstage {
    fn start(world: &Arc<World>, plan: &Plan) -> Result<Self> {
        let (tell, told) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let pulse = Pulse::new(world.begun);
        let (world, plan, beats) = (world.clone(), plan.clone(), pulse.clone());
        let thread = std::thread::spawn(move || {
            let runtime = match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(tell.send(Err(error))),
            };
            runtime.block_on(async move {
                let servers = Servers::start(&world, &plan).await;
                let _ = tell.send(servers.map(|servers| (servers, Handle::current())));
                tokio::select! {
                    () = beats.run() => {}
                    _ = stopped => {}
                }
            });
        });
        let (servers, handle) = told.recv().context("the servers' thread has ended")??;
        Ok(Self { servers, handle, pulse, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Backstage {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What is known of the producer when it is gone.
struct Ended {
    stats: Stats,
    begun: Duration,
    report: CloseReport,
    left: Vec<String>,
    pulses: Vec<Vec<Duration>>,
}

/// Plays a round and judges it.
pub(super) fn play(seed: u64, counts: &Arc<Counts>) -> Result<Judged> {
    let plan = Plan::of(seed);
    fastrand::seed(seed);
    let world = World::new(seed, plan.profile.clone(), counts.clone());
    let backstage = Backstage::start(&world, &plan)?;
    let longest = plan.callers.iter().map(|caller| caller.timeout * 4).max();
    let stage = Arc::new(Stage {
        world: world.clone(),
        journal: Journal::new(world.clone()),
        closing: AtomicBool::new(false),
        waits: Mutex::default(),
        longest: longest.unwrap_or_default(),
    });
    let watch = Watch::default();
    backstage.handle.spawn(backstage.servers.clone().trouble(plan.events.clone()));
    let mut ended = match plan.threads {
        Threads::Blocking => on_threads(&stage, &plan, &backstage.servers, &watch)?,
        Threads::One => {
            on_runtime(Builder::new_current_thread(), &stage, &plan, &backstage, &watch)?
        }
        Threads::Two => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(2);
            on_runtime(builder, &stage, &plan, &backstage, &watch)?
        }
    };
    settle(&stage, &backstage.servers, &mut ended.left);
    ended.pulses.push(backstage.pulse.beats());
    drop(backstage);
    let facts = gather(&stage, &plan, &watch, ended);
    let lies = oracle::judge(&facts);
    Ok(Judged { facts, lies })
}

fn gather(stage: &Stage, plan: &Plan, watch: &Watch, ended: Ended) -> Facts {
    let Ended { stats, begun, report, left, pulses } = ended;
    Facts {
        calls: stage.journal.calls(),
        record: std::mem::take(&mut *stage.world.record()),
        pulses: Pulses(pulses),
        one_thread: plan.threads == Threads::One,
        waits: stage.waits().clone(),
        watched: plan.settings.watched.then(|| watch.counts()),
        counted: counted(&stats),
        close: Some(Closed {
            begun,
            undelivered: report
                .undelivered
                .iter()
                .filter_map(|one| number_of(&one.message))
                .collect(),
            undecided: report.undecided.iter().map(|half| half.message_id().to_owned()).collect(),
        }),
        left,
        panics: panics::take(),
    }
}

fn counted(stats: &Stats) -> Counted {
    Counted {
        sent: stats.sent,
        acked: stats.acked,
        not_stored: stats.not_stored,
        unknown: stats.unknown,
        oneway: stats.oneway,
        withdrawn: stats.withdrawn,
        in_flight: stats.in_flight,
    }
}

/// Waits until every caller knows the end of its call, and brokers have nothing more to do.
fn settle(stage: &Stage, servers: &Servers, left: &mut Vec<String>) {
    stage.world.be_calm();
    let until = stage.world.now() + HANG;
    while stage.world.now() < until && !(stage.journal.open() == 0 && stage.world.is_idle()) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let until = stage.world.now() + GONE;
    while stage.world.now() < until && servers.open_links() > 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    match servers.open_links() {
        0 => {}
        links => left.push(format!("{links} connections to brokers")),
    }
}

/// The settings of a round, for a builder of either kind.
macro_rules! configured {
    ($builder:expr, $plan:expr, $watch:expr) => {{
        let settings = &$plan.settings;
        let mut builder = $builder
            .send_timeout(Duration::from_secs(20))
            .retries(settings.retries)
            .async_retries(settings.retries)
            .max_pending(settings.max_pending, 32 * 1024 * 1024)
            .max_window(settings.max_window)
            .batching(settings.batching)
            .lookup_timeout(settings.lookup_timeout)
            .route_poll_interval(settings.route_poll);
        if let Some(time) = settings.linger {
            builder = builder.linger(time, 64 * 1024);
        }
        if let Some(time) = settings.attempt_timeout {
            builder = builder.attempt_timeout(time);
        }
        if settings.oneway_unlimited {
            builder = builder.oneway_unlimited();
        }
        if settings.watched {
            builder = builder.interceptor($watch.clone());
        }
        builder
    }};
}

fn hands(stage: &Arc<Stage>, plan: &Plan) -> Vec<Hand> {
    let hand = |caller: &super::plan::Caller| {
        let queues = plan.topics.get(caller.topic).copied().unwrap_or(1);
        Hand::new(stage.clone(), caller.clone(), plan.brokers, queues)
    };
    plan.callers.iter().map(hand).collect()
}

// ---- the asynchronous producer ----

fn on_runtime(
    mut builder: Builder,
    stage: &Arc<Stage>,
    plan: &Plan,
    backstage: &Backstage,
    watch: &Watch,
) -> Result<Ended> {
    let runtime = builder.enable_all().build()?;
    let pulse = Pulse::new(stage.world.begun);
    let mut ended = runtime.block_on(async {
        tokio::spawn(pulse.clone().run());
        let world = stage.world.clone();
        let builder = Producer::builder("campaign", backstage.servers.list())
            .transaction_checker(move |half| check(world.clone(), half));
        let producer = configured!(builder, plan, watch).start().await?;
        let mut callers = JoinSet::new();
        for hand in hands(stage, plan) {
            let producer = producer.clone();
            callers.spawn(hand.run(producer));
        }
        let ended = with_callers(stage, plan, &backstage.servers, producer, callers).await;
        let left = left_tasks(stage).await;
        anyhow::Ok(Ended { left, ..ended })
    })?;
    ended.pulses.push(pulse.beats());
    runtime.shutdown_background();
    Ok(ended)
}

async fn with_callers(
    stage: &Arc<Stage>,
    plan: &Plan,
    servers: &Servers,
    producer: Producer,
    mut callers: JoinSet<()>,
) -> Ended {
    match plan.close_after {
        Some(after) => {
            tokio::time::sleep(after).await;
            stage.world.happens(Fault::ClosedInTheMiddle);
        }
        None => {
            let all = async { while callers.join_next().await.is_some() {} };
            let _ = tokio::time::timeout(HANG, all).await;
            tokio::time::sleep(TROUBLE.saturating_sub(stage.world.now())).await;
            calm::run(stage, plan, servers, &producer).await;
        }
    }
    let begun = stage.world.now();
    stage.closing.store(true, Ordering::SeqCst);
    let report = stage.wait("close", plan.close_time, producer.close(plan.close_time)).await;
    let all = async { while callers.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(HANG, all).await;
    // A message is counted a moment after its end.
    let until = stage.world.now() + HANG;
    while producer.stats().in_flight > 0 && stage.world.now() < until {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ended { stats: producer.stats(), begun, report, left: Vec::new(), pulses: Vec::new() }
}

/// Tasks of the producer that are still there when it should be gone.
async fn left_tasks(stage: &Stage) -> Vec<String> {
    let metrics = Handle::current().metrics();
    let until = stage.world.now() + GONE;
    // One is the pulse.
    while metrics.num_alive_tasks() > 1 && stage.world.now() < until {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    match metrics.num_alive_tasks() {
        0 | 1 => Vec::new(),
        tasks => vec![format!("{} tasks", tasks - 1)],
    }
}

// ---- the blocking facade ----

fn on_threads(stage: &Arc<Stage>, plan: &Plan, servers: &Servers, watch: &Watch) -> Result<Ended> {
    let beating = Beating::start(stage)?;
    let builder =
        blocking::Producer::builder("campaign", servers.list()).transaction_checker(check_blocking);
    let producer = configured!(builder, plan, watch).start()?;
    let threads: Vec<_> = hands(stage, plan)
        .into_iter()
        .map(|hand| {
            let producer = producer.clone();
            std::thread::spawn(move || hand.run_blocking(&producer))
        })
        .collect();
    if let Some(after) = plan.close_after {
        std::thread::sleep(after);
        stage.world.happens(Fault::ClosedInTheMiddle);
    } else {
        let until = stage.world.now() + HANG;
        while threads.iter().any(|thread| !thread.is_finished()) && stage.world.now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    let begun = stage.world.now();
    stage.closing.store(true, Ordering::SeqCst);
    let wait = stage.begin_wait("close", plan.close_time);
    let report = producer.close(plan.close_time);
    stage.end_wait(wait);
    for thread in threads {
        let _ = thread.join();
    }
    let until = stage.world.now() + HANG;
    while producer.stats().in_flight > 0 && stage.world.now() < until {
        std::thread::sleep(Duration::from_millis(5));
    }
    let stats = producer.stats();
    Ok(Ended { stats, begun, report, left: Vec::new(), pulses: vec![beating.end()] })
}

/// A separate thread that beats.
struct Beating {
    pulse: Pulse,
    stop: oneshot::Sender<()>,
    thread: std::thread::JoinHandle<()>,
}

impl Beating {
    fn start(stage: &Stage) -> Result<Self> {
        let pulse = Pulse::new(stage.world.begun);
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let beats = pulse.clone();
        let thread = std::thread::spawn(move || {
            runtime.block_on(async move {
                tokio::select! {
                    () = beats.run() => {}
                    _ = stopped => {}
                }
            });
        });
        Ok(Self { pulse, stop, thread })
    }

    /// Gives its pulses.
    fn end(self) -> Vec<Duration> {
        let _ = self.stop.send(());
        let _ = self.thread.join();
        self.pulse.beats()
    }
}

/// A message that has to be stored, since nothing is wrong.
pub(super) fn calm_message(topic: &str, number: u32) -> Message {
    Message::new(topic, format!("{number} calm")).property(super::deed::NUMBER, number.to_string())
}
