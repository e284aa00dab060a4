//! The window, told by hand when requests leave and answers come.

use super::*;
use crate::connection::hold::{Hold, HoldFacts};

/// A broker that works off this many requests a second, one after another, and refuses requests
/// that have waited for 200 ms, as real brokers do.
struct Broker {
    per_second: f64,
    round_trip: Duration,
}

struct Run {
    now: Instant,
    window: Window,
    /// When each request in flight will be answered, and when it was sent.
    in_flight: std::collections::VecDeque<(Instant, Instant)>,
    idle_at: Instant,
    busy: u32,
    done: u32,
}

impl Run {
    fn new() -> Self {
        let now = Instant::now();
        let in_flight = std::collections::VecDeque::new();
        Self { now, window: Window::new(1024), in_flight, idle_at: now, busy: 0, done: 0 }
    }

    /// Offers more than the broker can take for this long.
    fn flood(&mut self, broker: &Broker, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            while self.in_flight.len() < self.window.limit() {
                let starts = self.idle_at.max(self.now);
                self.idle_at = starts + Duration::from_secs_f64(1.0 / broker.per_second);
                self.in_flight.push_back((self.idle_at + broker.round_trip, self.now));
            }
            let Some((answered, sent)) = self.in_flight.pop_front() else { return };
            self.now = answered;
            let count = self.in_flight.len() + 1;
            if answered - sent > Duration::from_millis(200) {
                self.busy += 1;
                self.window.busy(self.now);
            } else {
                self.done += 1;
                self.window
                    .answered(&Trip { now: self.now, took: answered - sent, in_flight: count }, 1);
            }
        }
    }
}

const COLD: Broker = Broker { per_second: 1_000.0, round_trip: Duration::from_micros(500) };
const WARM: Broker = Broker { per_second: 40_000.0, round_trip: Duration::from_micros(300) };

#[test]
fn a_warm_broker_works_at_full_speed() {
    let mut run = Run::new();
    run.flood(&WARM, Duration::from_secs(2));
    assert!(run.window.limit() >= 64, "window {}", run.window.limit());
    assert!(run.done > 76_000, "{} done", run.done);
    assert_eq!(run.busy, 0);
}

#[test]
fn a_cold_broker_is_never_overrun() {
    let mut run = Run::new();
    run.flood(&COLD, Duration::from_secs(5));
    assert_eq!(run.busy, 0);
    assert!(run.done > 4_500, "{} done", run.done);
    run.flood(&WARM, Duration::from_secs(2));
    assert!(run.window.limit() >= 64, "window {} after warming up", run.window.limit());
}

#[test]
fn a_broker_that_slows_down_gets_less() {
    let mut run = Run::new();
    run.flood(&WARM, Duration::from_secs(2));
    let before = run.window.limit();
    run.flood(&COLD, Duration::from_secs(5));
    assert!(run.window.limit() < before / 4, "{before} then {}", run.window.limit());
    // What was in flight when it slowed down may be too late; nothing after that.
    let busy = run.busy;
    run.flood(&COLD, Duration::from_secs(20));
    assert_eq!(run.busy, busy);
}

#[test]
fn the_window_does_not_creep_up_under_steady_load() {
    let mut run = Run::new();
    run.flood(&WARM, Duration::from_secs(10));
    let after_ten = run.window.limit();
    run.flood(&WARM, Duration::from_secs(120));
    let after_two_minutes = run.window.limit();
    assert!(after_two_minutes < after_ten * 2, "{after_ten}, then {after_two_minutes}");
}

/// A request is never answered: it alone would fill a window that is nearly closed.
#[test]
fn a_measurement_that_no_answer_ends_is_given_up() {
    let mut window = Window::new(1024);
    let begun = Instant::now();
    let ms = Duration::from_millis;
    let trip = |now, took| Trip { now, took, in_flight: 2 };
    window.answered(&trip(begun, ms(1)), 1);
    assert_eq!(window.measures_until(), None);
    let later = begun + LEAST_LIFETIME + ms(1);
    window.answered(&trip(later, ms(5)), 1);
    assert_eq!(window.limit(), 1);
    let until = window.measures_until().unwrap();
    assert!(until > later + MEASURING && until < later + ms(200));
    window.end_overdue_measurement(until - ms(1));
    assert_eq!(window.limit(), 1);
    window.end_overdue_measurement(until);
    assert_eq!((window.limit(), window.measures_until()), (16, None));
    // It is not measured again at once.
    window.answered(&trip(until + ms(5), ms(5)), 1);
    assert_eq!(window.measures_until(), None);
}

#[test]
fn refusals_halve_the_window_once_a_round_trip_and_never_close_it() {
    let mut window = Window::new(1024);
    let now = Instant::now();
    window.answered(&Trip { now, took: Duration::from_millis(10), in_flight: 1 }, 1);
    window.busy(now);
    window.busy(now + Duration::from_millis(1));
    assert_eq!(window.limit(), 8);
    for step in 1..100 {
        window.busy(now + Duration::from_millis(20 * step));
    }
    assert_eq!(window.limit(), 1);
}

#[test]
fn slow_answers_alone_leave_a_few_in_flight() {
    let mut window = Window::new(1024);
    let now = Instant::now();
    window.answered(&Trip { now, took: Duration::from_millis(1), in_flight: 1 }, 1);
    for step in 1..100 {
        window.answered(
            &Trip {
                now: now + Duration::from_millis(25 * step),
                took: Duration::from_millis(500),
                in_flight: 16,
            },
            1,
        );
    }
    assert_eq!(window.limit(), 16);
}

#[test]
fn a_window_that_is_not_used_up_does_not_grow() {
    let mut window = Window::new(1024);
    let now = Instant::now();
    for step in 0..1_000 {
        window.answered(
            &Trip {
                now: now + Duration::from_millis(step),
                took: Duration::from_micros(300),
                in_flight: 1,
            },
            1,
        );
    }
    assert_eq!(window.limit(), 16);
}

/// Four producers that flood one broker, all at once or each some time after the previous one.
#[test]
fn four_producers_share_a_broker() {
    for (per_second, gap) in [(10_000.0, 0), (10_000.0, 2_000), (40_000.0, 0), (40_000.0, 2_000)] {
        let broker = Broker { per_second, round_trip: Duration::from_micros(300) };
        let start = Instant::now();
        let mut windows: Vec<Window> = (0..4).map(|_| Window::new(1024)).collect();
        let mut in_flight = [0usize; 4];
        let mut done = [0u32; 4];
        let mut queue = std::collections::VecDeque::new();
        let (mut now, mut idle_at) = (start, start);
        while now < start + Duration::from_secs(26) {
            for (one, window) in windows.iter().enumerate() {
                let started = now >= start + Duration::from_millis(gap * one as u64);
                while started && in_flight[one] < window.limit() {
                    idle_at = idle_at.max(now) + Duration::from_secs_f64(1.0 / broker.per_second);
                    queue.push_back((idle_at + broker.round_trip, now, one));
                    in_flight[one] += 1;
                }
            }
            let (answered, sent, one) = queue.pop_front().unwrap();
            now = answered;
            assert!(answered - sent < Duration::from_millis(200), "refused");
            let trip = Trip { now, took: answered - sent, in_flight: in_flight[one] };
            windows[one].answered(&trip, 1);
            in_flight[one] -= 1;
            // Ten seconds after the last has started.
            done[one] += u32::from(now > start + Duration::from_secs(16));
        }
        let all: u32 = done.iter().sum();
        let fair = done.iter().all(|part| *part * 100 > all * 15);
        assert!(fair, "{per_second}/s, {gap} ms apart: {done:?} of {all}");
    }
}

/// A broker that spends so much on a request and so much on each of its messages, in seconds,
/// and works them off one after another.
#[derive(Clone, Copy)]
struct Storing {
    request: f64,
    message: f64,
}

/// Callers that each wait for their receipt and send the next message then. What waits leaves
/// when the window has room and it is not held back, as the connection's task has it.
struct Callers {
    window: Window,
    starts: Instant,
    waiting: usize,
    hold: Hold,
    /// When each request is answered, when it was sent, and how many messages it has.
    in_flight: std::collections::VecDeque<(Instant, Instant, usize)>,
    done: usize,
    longest: Duration,
}

impl Callers {
    fn new(count: usize, starts: Instant) -> Self {
        let window = Window::new(1024);
        let in_flight = std::collections::VecDeque::new();
        let (hold, longest) = (Hold::new(None, 1 << 20), Duration::ZERO);
        Self { window, starts, waiting: count, hold, in_flight, done: 0, longest }
    }

    fn weight(&self) -> usize {
        self.in_flight.iter().map(|(.., messages)| weight(*messages)).sum()
    }

    fn has_room(&self) -> bool {
        self.waiting > 0 && self.weight() < self.window.limit()
    }

    fn holds_back(&mut self, now: Instant) -> bool {
        let facts = HoldFacts {
            waiting: self.waiting,
            waiting_bytes: 0,
            in_flight: self.in_flight.iter().map(|one| one.2).sum(),
            round_trip: self.window.round_trip(),
            earliest: None,
            may_linger: true,
        };
        self.hold.until(now, &facts).is_some()
    }

    /// When something happens here next.
    fn next_event(&self) -> Option<Instant> {
        let answer = self.in_flight.front().map(|one| one.0);
        let held = self.hold.due().filter(|_| self.has_room());
        let starts = Some(self.starts).filter(|_| self.done == 0 && self.in_flight.is_empty());
        [answer, held, starts].into_iter().flatten().min()
    }

    fn send(&mut self, now: Instant, broker: Storing, idle_at: &mut Instant) {
        while now >= self.starts && self.has_room() && !self.holds_back(now) {
            let together = self.waiting.min(1024);
            self.waiting -= together;
            let work = broker.request + broker.message * together as f64;
            *idle_at = now.max(*idle_at) + Duration::from_secs_f64(work);
            self.in_flight.push_back((*idle_at + Duration::from_micros(100), now, together));
        }
        if self.waiting == 0 {
            self.hold.clear();
        }
    }

    fn answered(&mut self, now: Instant) {
        let in_flight = self.weight();
        let Some((_, sent, messages)) = self.in_flight.pop_front_if(|one| one.0 <= now) else {
            return;
        };
        let took = now - sent;
        self.longest = took.max(self.longest);
        self.window.answered(&Trip { now, took, in_flight }, messages);
        self.waiting += messages;
        self.done += messages;
    }
}

/// Producers that share a broker, one for each number of callers, which begin one after
/// another, this far apart. What they have done in the ten seconds after the last has had time to settle.
fn share(broker: Storing, callers: &[usize], gap: Duration) -> Vec<Callers> {
    let start = Instant::now();
    let begin = |(place, count): (usize, &usize)| Callers::new(*count, start + gap * place as u32);
    let mut all: Vec<Callers> = callers.iter().enumerate().map(begin).collect();
    let settled = start + gap * callers.len() as u32 + Duration::from_secs(5);
    let (mut now, mut idle_at) = (start, start);
    let mut before: Option<Vec<usize>> = None;
    while now < settled + Duration::from_secs(10) {
        all.iter_mut().for_each(|one| one.send(now, broker, &mut idle_at));
        let next = all.iter_mut().filter(|one| one.next_event().is_some());
        let next = next.min_by_key(|one| one.next_event()).unwrap();
        now = now.max(next.next_event().unwrap());
        next.answered(now);
        if now > settled && before.is_none() {
            before = Some(all.iter().map(|one| one.done).collect());
        }
    }
    for (one, before) in all.iter_mut().zip(before.unwrap()) {
        one.done -= before;
    }
    all
}

/// Real brokers, warm: so much for each request, so much for each message.
const WARM_STORING: Storing = Storing { request: 30e-6, message: 2.2e-6 };
/// A cold one.
const COLD_STORING: Storing = Storing { request: 600e-6, message: 50e-6 };

/// What batches cost more than single messages is not taken for waiting: with ever more
/// callers batches grow, and no window closes for it.
#[test]
fn growing_batches_do_not_look_like_congestion() {
    let mut before = 0;
    for callers in [1, 8, 64, 512, 2_048, 10_000] {
        let run = share(WARM_STORING, &[callers], Duration::ZERO).remove(0);
        let (limit, longest) = (run.window.limit(), run.longest);
        println!("{callers}: {} messages, window {limit}, at most {longest:?}", run.done);
        assert!(run.done * 20 > before * 19, "{callers} callers: {} after {before}", run.done);
        before = run.done;
    }
    // Of what the broker can do when it gets 1,024 at a time.
    let best = 10.0 / (WARM_STORING.message + WARM_STORING.request / 1024.0);
    assert!(before as f64 > 0.9 * best, "{before} of {best}");
}

/// What takes long because it is much does not close the window either.
#[test]
fn batches_of_large_messages_do_not_look_like_congestion() {
    let large = Storing { request: 30e-6, message: 40e-6 };
    for callers in [1_024, 2_048] {
        let run = share(large, &[callers], Duration::ZERO).remove(0);
        let limit = run.window.limit();
        println!("{callers}: {} messages, window {limit}, at most {:?}", run.done, run.longest);
        assert!(limit > 2 * START as usize, "{callers} callers: {limit}");
    }
}

/// From the start on, when nothing is known of it.
#[test]
fn a_cold_broker_never_has_a_batch_wait_as_long_as_it_allows() {
    for callers in [1, 64, 1_024, 2_048, 10_000] {
        let run = share(COLD_STORING, &[callers], Duration::ZERO).remove(0);
        let (limit, longest) = (run.window.limit(), run.longest);
        println!("{callers}: {} messages, window {limit}, at most {longest:?}", run.done);
        assert!(longest < Duration::from_millis(200), "{callers}: {longest:?}");
    }
}

#[test]
fn four_producers_with_batches_share_a_broker() {
    for (broker, callers, gap) in [
        (WARM_STORING, 64, 0),
        (WARM_STORING, 64, 2_000),
        (WARM_STORING, 1_024, 0),
        (WARM_STORING, 1_024, 2_000),
        (WARM_STORING, 10_000, 2_000),
        (COLD_STORING, 64, 2_000),
    ] {
        let all = share(broker, &[callers; 4], Duration::from_millis(gap));
        let done: Vec<usize> = all.iter().map(|one| one.done).collect();
        println!("{callers}, {gap} ms apart: {done:?}");
        let sum: usize = done.iter().sum();
        let fair = done.iter().all(|part| part * 100 > sum * 15);
        assert!(fair, "{callers} callers, {gap} ms apart: {done:?}");
    }
}
