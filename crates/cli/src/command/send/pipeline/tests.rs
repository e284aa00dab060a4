//! Of every record of the input it is known what became of it. A counted source, a sender that
//! writes down what it gets, a listener that writes down what it hears: none knows the others.

mod notes;
mod script;
mod source;

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Parser;
use proptest::prelude::*;
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use self::notes::{Notes, Told};
use self::script::Script;
use self::source::{End, Record, Source};
use super::{Outcome, Pipeline, Settings};
use crate::args::{Args, Command};
use crate::blueprint::Blueprint;
use crate::input::{self, Input};
use crate::interrupt::Interrupt;

/// A run: the input and what becomes of each message, the flags, and what happens meanwhile.
#[derive(Debug, Clone)]
struct Case {
    source: Source,
    settings: Settings,
    /// Pauses before the user asks to end, once more each time.
    interrupts: Vec<Duration>,
    /// stdout takes this many bytes, and is closed then.
    stdout_takes: usize,
}

/// What a run left behind.
struct Seen {
    outcome: Outcome<Notes>,
    script: Script,
    /// How many records of the input were read, and how many of them were blank.
    passed: u64,
    blank: u64,
}

impl Case {
    async fn run(&self, mut input: Input) -> Seen {
        let answers = self.source.numbered().filter_map(|(n, record)| Some((n, record.answer()?)));
        let script = Script::new(answers.collect());
        let notes = Notes::new(self.stdout_takes, self.most_turns());
        let (ask, asked) = watch::channel(0);
        let pauses = self.interrupts.clone();
        tokio::spawn(async move {
            for pause in pauses {
                sleep(pause).await;
                ask.send_modify(|asked| *asked += 1);
            }
        });
        let mut interrupt = Interrupt::of(asked);
        let pipeline = Pipeline::new(script.clone(), self.settings.clone(), notes);
        let running = pipeline.run(&mut input, &mut interrupt);
        // While time is paused, this passes as soon as nothing else can happen.
        let patience = Duration::from_secs(1_000_000);
        let mut outcome = timeout(patience, running).await.expect("the loop hangs");
        outcome.listener.stdout.flush();
        Seen { outcome, script, passed: input.passed(), blank: input.blank_lines() }
    }

    /// How often the loop may have something to wait for. For each message: that it is due, that
    /// there is room for it, that it ends, and that its receipt is written. For each batch: that it
    /// comes. And the end of the input, of the time to drain, and the interrupts.
    fn most_turns(&self) -> usize {
        let records = self.source.records.len();
        let batches = records.min(self.source.arrivals.len() + 1) + records / 256;
        4 * records + batches + self.interrupts.len() + 4
    }

    fn judge(&self, seen: &Seen) {
        let Seen { outcome, script, passed, blank } = seen;
        let notes = &outcome.listener;
        let read = || self.source.numbered().take_while(|(number, _)| number <= passed);
        let of = |wanted: Record| read().filter(|(_, record)| *record == wanted).count() as u64;

        // Each message that was read was sent once, in its order.
        let messages = read().filter_map(|(number, record)| record.answer().map(|_| number));
        let sent = script.sent();
        assert_eq!(sent, messages.collect::<Vec<_>>(), "sent, and in the input");

        // Each record was reported once, in its order, and each message as it ended.
        assert!(notes.told.is_sorted_by(|(a, _), (b, _)| a < b), "{:?}", notes.told);
        let told: BTreeMap<u64, Told> = notes.told.iter().copied().collect();
        let ends = script.ends();
        assert_eq!(ends.len(), sent.len(), "each that was sent has ended");
        for (number, end) in &ends {
            let good = *end == script::End::Good;
            assert_eq!(told[number], if good { Told::Good } else { Told::Failed }, "{number}");
        }

        // The equation.
        let count = |wanted: Told| told.values().filter(|told| **told == wanted).count() as u64;
        let behind = self.source.records.len() as u64 - passed;
        let all = count(Told::Good) + count(Told::Failed) + count(Told::Bad) + blank + behind;
        assert_eq!(all, self.source.records.len() as u64);
        assert_eq!((count(Told::Bad), *blank), (of(Record::Bad), of(Record::Blank)));

        // stdout has the first receipts, as many as it took.
        let receipts: String = (told.iter().filter(|(_, told)| **told == Told::Good))
            .map(|(number, _)| format!("{number}\n"))
            .collect();
        assert_eq!(notes.written(), receipts[..receipts.len().min(self.stdout_takes)]);
        self.judge_end(seen, count(Told::Failed) + count(Told::Bad) > 0);
    }

    /// Nothing is left behind without a reason, and a reason is said.
    fn judge_end(&self, seen: &Seen, failed: bool) {
        let Seen { outcome, script, passed, .. } = seen;
        let notes = &outcome.listener;
        let by_count = self.settings.count == Some(script.sent().len() as u64);
        let for_a_reason =
            (self.settings.stop_on_error && failed) || notes.interrupted || notes.unreadable;
        match outcome.stopped_after {
            Some(last) => assert!(for_a_reason && last == *passed),
            None if by_count => assert_eq!(Some(passed), script.sent().last()),
            None => {
                assert_eq!(self.source.end, End::Whole);
                assert_eq!(*passed, self.source.records.len() as u64);
            }
        }
        if !by_count && !for_a_reason {
            assert_eq!(outcome.stopped_after, None);
        }
    }
}

fn settings(rate: impl Strategy<Value = f64>) -> impl Strategy<Value = Settings> {
    (
        1..40_usize,
        any::<bool>(),
        prop::option::of(1..100_u64),
        prop::option::of(rate),
        (100..10_000_u64).prop_map(Duration::from_millis),
    )
        .prop_map(|(in_flight, stop_on_error, count, rate, timeout)| Settings {
            in_flight,
            stop_on_error,
            count,
            rate,
            timeout,
        })
}

fn stdout_takes() -> impl Strategy<Value = usize> {
    prop_oneof![2 => Just(usize::MAX), 1 => Just(0), 1 => 0..300_usize]
}

/// Runs in paused time, with everything as slow as it likes to be.
fn any_case() -> impl Strategy<Value = Case> {
    let slow = Duration::from_secs(20);
    let end = prop_oneof![4 => Just(End::Whole), 1 => Just(End::Unreadable), 1 => Just(End::Open)];
    let rate = prop_oneof![0.3..3.0, 10.0..1e3, 1e4..1e6];
    let interrupts = prop::collection::vec(script::time_up_to(slow), 0..3);
    let source = (source::records(slow, 150), source::arrivals(slow), end)
        .prop_map(|(records, arrivals, end)| Source { records, arrivals, end });
    (source, settings(rate), interrupts, stdout_takes()).prop_map(
        |(mut source, settings, interrupts, stdout_takes)| {
            if source.end == End::Open && interrupts.is_empty() {
                // Nothing would ever end it.
                source.end = End::Whole;
            }
            Case { source, settings, interrupts, stdout_takes }
        },
    )
}

/// Runs on the real clock, which goes on between any two looks at it; so everything is quick.
fn quick_case() -> impl Strategy<Value = Case> {
    let quick = Duration::from_micros(900);
    let interrupts = prop::collection::vec(script::time_up_to(quick * 8), 0..3);
    // At some rates each message is waited for, at others all of them are late.
    let rate = prop_oneof![2e3..2e4, 1e5..1e6];
    let records = source::records(quick, 400).prop_map(|mut records| {
        // Where bytes end with a delimiter, no empty record follows.
        while records.last() == Some(&Record::Blank) {
            records.pop();
        }
        Source { records, arrivals: Vec::new(), end: End::Whole }
    });
    (records, settings(rate), interrupts, stdout_takes()).prop_map(
        |(source, settings, interrupts, stdout_takes)| Case {
            source,
            settings,
            interrupts,
            stdout_takes,
        },
    )
}

/// A stream of these records, which is read by the thread that reads stdin, a few bytes at a time.
fn stream(source: &Source, delimiter: &str, chunks: Vec<usize>) -> Input {
    let mut bytes = String::new();
    for (number, record) in source.numbered() {
        match record {
            Record::Message(_) => bytes += &format!("key:{number}"),
            Record::Bad => bytes += "no key",
            Record::Blank => {}
        }
        bytes += delimiter;
    }
    let args = Args::parse_from(["posthaste", "send", "T", "-K", ":"]);
    let Command::Send(args) = args.command else { panic!("not send") };
    let stream = input::Source::Stream {
        reader: Box::new(Chunks {
            bytes: bytes.into_bytes().into(),
            sizes: chunks.into_iter().cycle(),
        }),
        name: "stdin".into(),
        delimiter: delimiter.into(),
    };
    Input::start(stream, Blueprint::new(&args)).unwrap()
}

struct Chunks<I> {
    bytes: std::collections::VecDeque<u8>,
    sizes: I,
}

impl<I: Iterator<Item = usize>> std::io::Read for Chunks<I> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let size = self.sizes.next().unwrap_or(usize::MAX).min(buffer.len());
        self.bytes.read(&mut buffer[..size])
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_record_is_accounted_for(case in any_case()) {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
        let seen = runtime.unwrap().block_on(async { case.run(case.source.input()).await });
        case.judge(&seen);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_record_is_accounted_for_while_time_goes_on(
        case in quick_case(),
        delimiter in prop_oneof![Just("\n"), Just("\0"), Just("ab"), Just("\r\n\r\n")],
        chunks in prop::collection::vec(prop_oneof![1..20_usize, 100..100_000_usize], 1..10),
    ) {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_time().build();
        let input = stream(&case.source, delimiter, chunks);
        let seen = runtime.unwrap().block_on(case.run(input));
        case.judge(&seen);
    }
}

/// A case in which all goes well.
fn good(records: usize, rate: Option<f64>) -> Case {
    let answer = script::Answer::good_after(Duration::from_millis(1));
    Case {
        source: Source {
            records: vec![Record::Message(answer); records],
            arrivals: Vec::new(),
            end: End::Whole,
        },
        settings: Settings {
            in_flight: 16,
            stop_on_error: true,
            count: None,
            rate,
            timeout: Duration::from_secs(3),
        },
        interrupts: Vec::new(),
        stdout_takes: usize::MAX,
    }
}

#[tokio::test(start_paused = true)]
async fn a_lone_message_at_a_slow_rate_ends_at_once() {
    let case = good(1, Some(20.0 / 60.0));
    let seen = case.run(case.source.input()).await;
    case.judge(&seen);
    assert!(seen.outcome.elapsed < Duration::from_millis(10), "{:?}", seen.outcome.elapsed);
}

#[tokio::test(start_paused = true)]
async fn the_last_of_several_ends_the_run_and_not_the_time_of_one_more() {
    let case = good(3, Some(1.0));
    let seen = case.run(case.source.input()).await;
    let elapsed = seen.outcome.elapsed;
    assert!((2_000..2_010).contains(&elapsed.as_millis()), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_second_interrupt_ends_what_is_on_its_way() {
    let mut case = good(5, None);
    let never = script::Answer::good_after(Duration::from_secs(10_000));
    case.source =
        Source { records: vec![Record::Message(never); 5], arrivals: Vec::new(), end: End::Open };
    case.settings.timeout = Duration::from_secs(60);
    case.interrupts = vec![Duration::from_secs(1), Duration::from_secs(1)];
    let seen = case.run(case.source.input()).await;
    case.judge(&seen);
    assert!(seen.outcome.abandoned);
    assert_eq!(seen.outcome.elapsed.as_secs(), 2);
    // The time to drain ends in the same way.
    case.interrupts.pop();
    let seen = case.run(case.source.input()).await;
    case.judge(&seen);
    assert!(seen.outcome.abandoned);
    assert_eq!(seen.outcome.elapsed.as_secs(), 61);
}

#[tokio::test(start_paused = true)]
async fn an_interrupt_is_heard_while_a_message_waits_for_room() {
    let mut case = good(1, None);
    let answer = script::Answer::good_once_there_is_room(Duration::from_secs(10_000));
    case.source.records = vec![Record::Message(answer)];
    case.settings.timeout = Duration::from_secs(60);
    case.interrupts = vec![Duration::from_secs(1), Duration::from_secs(1)];
    let seen = case.run(case.source.input()).await;
    case.judge(&seen);
    assert_eq!(seen.outcome.elapsed.as_secs(), 2);
}
