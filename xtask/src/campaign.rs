//! A campaign of random faults: scripted servers that delay, drop, cut, answer twice and move, every
//! verb of the producer, and a judge that compares what callers learned with what was stored.
//!
//! It goes by rounds. A round is made of its seed alone (`plan.rs`): servers, settings, callers,
//! faults. Sockets and threads are real, so the same seed meets the same faults, not the same
//! interleaving; a failure that does not come back at once comes back with `--rounds`.

mod broker;
mod calm;
mod conduct;
mod deed;
mod facade;
mod facts;
mod fault;
mod journal;
mod name_server;
mod oracle;
mod panics;
mod plan;
mod pulse;
mod record;
mod round;
mod timeline;
mod trouble;
mod verbs;
mod world;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;

use fault::{Counts, Fault};
use journal::Verb;
use oracle::Rule;
use round::Judged;

/// Kinds of fault that a campaign of some length has to meet.
const LEAST_KINDS: usize = 20;
/// What that length is.
const SOME_LENGTH: u64 = 60;
/// How often the progress of a campaign is printed.
const TELL: Duration = Duration::from_secs(30);
/// This many lies of a round are printed with their story.
const TOLD_LIES: usize = 3;

/// What a campaign is asked to do. It goes on until all that is given has been reached.
#[derive(Debug, Args)]
pub(crate) struct Campaign {
    /// The seed of the first round; the next ones count up. Default: another one each time.
    #[arg(long)]
    seed: Option<u64>,
    /// For at least this long.
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// At least this many sends are judged.
    #[arg(long, default_value_t = 0)]
    sends: u64,
    /// Plays this many rounds, however long they take.
    #[arg(long)]
    rounds: Option<u64>,
    /// Plays the first round again and again, in place of the next ones.
    #[arg(long)]
    again: bool,
    /// How many rounds are played at once.
    #[arg(long, default_value_t = 3)]
    at_once: usize,
    /// Goes on after a failure, and counts what was found.
    #[arg(long)]
    keep_going: bool,
}

/// What has been found so far.
#[derive(Default)]
struct Found {
    /// When the progress was last printed.
    told: Duration,
    rounds: u64,
    sends: u64,
    /// By verb and end.
    ends: BTreeMap<(Verb, &'static str), u64>,
    /// How often, and the seed of the first.
    lies: BTreeMap<Rule, (u64, u64)>,
}

struct Progress<'a> {
    campaign: &'a Campaign,
    seed: u64,
    begun: Instant,
    next: AtomicU64,
    failed: AtomicBool,
    found: Mutex<Found>,
    counts: Arc<Counts>,
}

/// Runs a campaign.
pub(crate) fn run(campaign: &Campaign) -> ExitCode {
    panics::watch();
    let seed = campaign.seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
    println!("campaign: seed {seed}");
    let progress = Progress {
        campaign,
        seed,
        begun: Instant::now(),
        next: AtomicU64::new(0),
        failed: AtomicBool::new(false),
        found: Mutex::default(),
        counts: Arc::default(),
    };
    std::thread::scope(|scope| {
        for _ in 0..campaign.at_once.max(1) {
            scope.spawn(|| progress.play_rounds());
        }
    });
    progress.summary()
}

impl Progress<'_> {
    fn play_rounds(&self) {
        while !self.is_over() {
            let number = self.next.fetch_add(1, Ordering::SeqCst);
            if self.campaign.rounds.is_some_and(|rounds| number >= rounds) {
                return;
            }
            let seed = match self.campaign.again {
                true => self.seed,
                false => self.seed.wrapping_add(number),
            };
            match round::play(seed, &self.counts) {
                Ok(judged) => self.take(seed, &judged),
                Err(error) => {
                    self.failed.store(true, Ordering::SeqCst);
                    eprintln!("campaign: the round of seed {seed} could not be played: {error:#}");
                }
            }
        }
    }

    fn is_over(&self) -> bool {
        if self.failed.load(Ordering::SeqCst) && !self.campaign.keep_going {
            return true;
        }
        let time = Duration::from_secs_f64(self.campaign.minutes.max(0.0) * 60.0);
        self.campaign.rounds.is_none()
            && self.begun.elapsed() >= time
            && self.found().sends >= self.campaign.sends
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts what came of a round, and tells its lies.
    fn take(&self, seed: u64, judged: &Judged) {
        let mut found = self.found();
        found.rounds += 1;
        for call in &judged.facts.calls {
            let messages = call.numbers.len() as u64;
            found.sends += messages;
            if let Some((_, end)) = call.end() {
                *found.ends.entry((call.verb, end.word())).or_default() += messages;
            }
        }
        let now = self.begun.elapsed();
        if now >= found.told + TELL {
            found.told = now;
            eprintln!("campaign: {} sends in {} rounds, {now:.0?}", found.sends, found.rounds);
        }
        for lie in &judged.lies {
            found.lies.entry(lie.rule).or_insert((0, seed)).0 += 1;
        }
        if judged.lies.is_empty() {
            return;
        }
        self.failed.store(true, Ordering::SeqCst);
        println!("\ncampaign: seed {seed}: {} promises not kept", judged.lies.len());
        let mut rules: Vec<Rule> = Vec::new();
        for lie in &judged.lies {
            if rules.contains(&lie.rule) || rules.len() == TOLD_LIES {
                continue;
            }
            rules.push(lie.rule);
            println!("- {} {:?}: {}", lie.rule.text(), lie.numbers, lie.text);
            print!("{}", timeline::of(&judged.facts, lie));
        }
        println!("replay: cargo xtask campaign --seed {seed} --rounds 1");
        println!("   again and again: cargo xtask campaign --seed {seed} --again --rounds 50");
    }

    fn summary(&self) -> ExitCode {
        let found = self.found();
        println!("\nfaults:");
        for fault in Fault::ALL {
            println!("{:>9}  {}", self.counts.get(*fault), fault.text());
        }
        println!("\nsends:");
        for verb in Verb::ALL {
            let of_verb = found.ends.iter().filter(|((one, _), _)| *one == verb);
            let ends: Vec<_> = of_verb.map(|((_, end), count)| format!("{count} {end}")).collect();
            println!("{:>24}  {}", verb.text(), ends.join(", "));
        }
        let kinds = self.counts.kinds();
        println!(
            "\ncampaign: {} sends judged in {} rounds, {kinds} kinds of fault, {:.0?}",
            found.sends,
            found.rounds,
            self.begun.elapsed()
        );
        for (rule, (count, seed)) in &found.lies {
            println!("campaign: {count} times {} (first in seed {seed})", rule.text());
        }
        if kinds < LEAST_KINDS && found.rounds >= SOME_LENGTH {
            println!("campaign: fewer than {LEAST_KINDS} kinds of fault: it proves too little");
            return ExitCode::FAILURE;
        }
        match self.failed.load(Ordering::SeqCst) {
            true => ExitCode::FAILURE,
            false => ExitCode::SUCCESS,
        }
    }
}
