//! What waits for room in one broker's window.
//!
//! Plain data, no runtime: the connection's task puts messages in and takes them out. Lines are
//! served in turn, the oldest first within each, so that one busy topic never starves another.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use crate::accepted::Accepted;
use crate::route::Target;

/// One message that waits to leave.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) accepted: Arc<Accepted>,
    pub(crate) target: Target,
    /// When this attempt began.
    pub(crate) since: Instant,
    /// When this attempt ends, at the latest at the message's deadline.
    pub(crate) until: Instant,
}

impl Waiting {
    /// The same attempt, for another place that has to do with it.
    pub(crate) fn copy(&self) -> Self {
        let Self { accepted, target, since, until } = self;
        let (accepted, target) = (accepted.clone(), target.clone());
        Self { accepted, target, since: *since, until: *until }
    }
}

/// Messages that wait for the same thing: any queue of a topic on a broker, or one queue.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct LineKey {
    topic: Arc<str>,
    broker: Arc<str>,
    queue: Option<i32>,
}

#[derive(Debug, Default)]
pub(crate) struct Outbox {
    lines: HashMap<LineKey, VecDeque<Waiting>>,
    /// Lines that are not empty, the next to be served first.
    turn: VecDeque<LineKey>,
    len: usize,
    /// No attempt in here ends before this.
    earliest: Option<Instant>,
}

impl Outbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// A time before which nothing in here expires.
    pub(crate) fn earliest(&self) -> Option<Instant> {
        self.earliest
    }

    /// Puts a message at the end of its line.
    pub(crate) fn push(&mut self, waiting: Waiting) {
        self.line(&waiting).push_back(waiting);
    }

    /// Puts a message that has to leave once more at the head of its line.
    pub(crate) fn push_front(&mut self, waiting: Waiting) {
        self.line(&waiting).push_front(waiting);
    }

    /// Takes the next message that leaves. This is where a batch will form: what stands behind it
    /// in the same line may leave with it.
    pub(crate) fn next(&mut self) -> Option<Waiting> {
        let key = self.turn.pop_front()?;
        let line = self.lines.get_mut(&key)?;
        let waiting = line.pop_front();
        self.len -= usize::from(waiting.is_some());
        if line.is_empty() {
            self.lines.remove(&key);
        } else {
            self.turn.push_back(key);
        }
        waiting
    }

    /// Takes out what expired by `now`.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<Waiting> {
        if self.earliest.is_none_or(|earliest| now < earliest) {
            return Vec::new();
        }
        self.take_if(|waiting| waiting.until <= now)
    }

    /// Drops what has ended or was taken back by its caller; says how many.
    pub(crate) fn sweep(&mut self) -> usize {
        self.take_if(|waiting| waiting.accepted.has_ended()).len()
    }

    /// Takes everything out, each line in its order.
    pub(crate) fn drain(&mut self) -> Vec<Waiting> {
        self.take_if(|_| true)
    }

    fn take_if(&mut self, wanted: impl Fn(&Waiting) -> bool) -> Vec<Waiting> {
        let mut taken = Vec::new();
        let mut earliest: Option<Instant> = None;
        for line in self.lines.values_mut() {
            let (out, kept) = std::mem::take(line).into_iter().partition(&wanted);
            *line = kept;
            taken.extend::<VecDeque<_>>(out);
            let line_earliest = line.iter().map(|waiting| waiting.until).min();
            earliest = [earliest, line_earliest].into_iter().flatten().min();
        }
        self.lines.retain(|_, line| !line.is_empty());
        self.turn.retain(|key| self.lines.contains_key(key));
        self.len -= taken.len();
        self.earliest = earliest;
        taken
    }

    fn line(&mut self, waiting: &Waiting) -> &mut VecDeque<Waiting> {
        self.len += 1;
        self.earliest = Some(self.earliest.map_or(waiting.until, |at| at.min(waiting.until)));
        let key = LineKey {
            topic: waiting.accepted.topic().clone(),
            broker: waiting.target.broker_name().clone(),
            queue: waiting.target.queue,
        };
        let turn = &mut self.turn;
        self.lines.entry(key.clone()).or_insert_with(|| {
            turn.push_back(key);
            VecDeque::new()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Message;
    use crate::accepted::Mode;
    use crate::route::Route;
    use crate::unique_id::{UniqueIds, own_ip};

    fn waiting(
        topic: &'static str,
        body: &'static str,
        queue: Option<i32>,
        until: Instant,
    ) -> Waiting {
        let id = UniqueIds::new(own_ip()).next();
        let message = Message::new(topic, body);
        let accepted = Arc::new(Accepted::new(message, Mode::Async, id, 0, until, 1));
        let no_connection = |_: &str| unreachable!("the route has no broker");
        let route = Arc::new(Route::new(Arc::from(topic), Vec::new(), false, no_connection));
        Waiting { accepted, target: Target { route, broker: 0, queue }, since: until, until }
    }

    fn bodies(outbox: &mut Outbox) -> Vec<String> {
        std::iter::from_fn(|| outbox.next())
            .filter_map(|waiting| {
                let body = |message: &Message| message.body().to_vec();
                waiting.accepted.leave(body).map(|body| String::from_utf8(body).unwrap())
            })
            .collect()
    }

    #[test]
    fn lines_are_served_in_turn_and_in_order() {
        let mut outbox = Outbox::default();
        let now = Instant::now();
        for body in ["a1", "a2", "a3"] {
            outbox.push(waiting("a", body, None, now));
        }
        outbox.push(waiting("b", "b1", None, now));
        outbox.push(waiting("a", "q1", Some(7), now));
        assert_eq!(bodies(&mut outbox), ["a1", "b1", "q1", "a2", "a3"]);
        assert!(outbox.is_empty());
    }

    #[test]
    fn what_was_refused_goes_first() {
        let mut outbox = Outbox::default();
        let now = Instant::now();
        outbox.push(waiting("a", "second", None, now));
        outbox.push_front(waiting("a", "first", None, now));
        assert_eq!(bodies(&mut outbox), ["first", "second"]);
    }

    #[test]
    fn what_expires_comes_out_and_the_rest_stays() {
        let mut outbox = Outbox::default();
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        outbox.push(waiting("a", "now", None, now));
        outbox.push(waiting("a", "later", None, later));
        assert_eq!(outbox.earliest(), Some(now));
        assert_eq!(outbox.expire(now).len(), 1);
        assert_eq!(outbox.earliest(), Some(later));
        assert_eq!(outbox.expire(now).len(), 0);
        assert_eq!(bodies(&mut outbox), ["later"]);
    }

    #[test]
    fn what_callers_took_back_is_swept() {
        let mut outbox = Outbox::default();
        let now = Instant::now();
        let gone = waiting("a", "gone", None, now);
        assert!(gone.accepted.withdraw());
        outbox.push(gone);
        outbox.push(waiting("a", "there", None, now));
        assert_eq!(outbox.sweep(), 1);
        assert_eq!(bodies(&mut outbox), ["there"]);
    }
}
