//! An accepted message: from its permit to its end, which comes exactly once.

mod batch_room;
pub(crate) mod budget;
pub(crate) mod cache_padded;
pub(crate) mod counter;
mod end;
mod epoch;
pub(crate) mod intake;
pub(crate) mod lanes;
mod sharing;
mod terms;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use posthaste_protocol::Properties;
use posthaste_protocol::id::IdText;

pub(crate) use self::batch_room::BatchRoom;
pub(crate) use self::end::{Callback, CallbackRun, End, Wake};
pub(crate) use self::epoch::{Epoch, Epochs};
pub(crate) use self::sharing::{MOST_MESSAGES, Sharing, sharing};
pub(crate) use self::terms::{Mode, Permit, Terms};
use crate::message::Destination;
use crate::message::cause::Cause;
use crate::message::content::Content;
use crate::message::timestamp::Present;
use crate::message::wire_size::stored_bytes;
use crate::{Attempt, ErrorKind, MessageQueue, Outcome, SendError};

/// Of a long list of attempts, only this many are kept.
const KEPT_ATTEMPTS: usize = 16;

/// A message that holds its permit, shared by the caller that waits for its end and by the place
/// where the message is.
pub(crate) struct Accepted {
    topic: Arc<str>,
    destination: Destination,
    /// The queue that a selector has picked.
    selected: OnceLock<Box<MessageQueue>>,
    /// How many messages it is: one, or as many as the batch has that its caller made.
    count: u32,
    /// The id of the first; the others' follow it.
    pub(crate) id: IdText,
    /// When it was accepted.
    pub(crate) since: Instant,
    pub(crate) deadline: Instant,
    pub(crate) epoch: Epoch,
    pub(crate) mode: Mode,
    pub(crate) permit: Permit,
    /// Bytes that a broker stores; more when interceptors have added properties.
    stored_bytes: AtomicU32,
    pub(crate) sharing: Sharing,
    /// After a batch was refused, how many messages may go together with this one, itself counted.
    most_together: AtomicU32,
    /// Written under the state's lock alone; who looks without it may look again.
    has_ended: AtomicBool,
    state: Mutex<MessageState>,
}

struct MessageState {
    /// An attempt has been handed to a connection. Otherwise nothing of it has been written, or what
    /// was is known not to be stored.
    has_left: bool,
    body: ContentOrEnd,
    /// Apart, since few messages have any.
    trouble: Option<Box<Trouble>>,
    waiter: Waiter,
}

/// What has gone wrong with a message so far.
#[derive(Default)]
struct Trouble {
    attempts: Vec<Attempt>,
    retries: u32,
    /// What the system or TLS said to the last attempt, or look-up.
    cause: Option<Cause>,
    /// An attempt may have stored it.
    maybe_stored: bool,
    /// An earlier message of its key failed while this one was under way: it is not sent again.
    earlier_failed: bool,
    /// A server that goes away has sent it away.
    sent_away: bool,
}

/// The message, and after its end the outcome, until the caller has taken it. In one place, since
/// there may be thousands of messages.
enum ContentOrEnd {
    Content(Content),
    End(End),
    Nothing,
}

/// What is notified of its end.
enum Waiter {
    /// Nothing so far.
    None,
    Waker(Waker),
    Callback(Callback),
}

impl Accepted {
    #[inline]
    pub(crate) fn new(content: Content, terms: Terms) -> Self {
        let Terms { id, since, deadline, epoch, mode, sharing, permit, stored_bytes, waker } =
            terms;
        Self {
            topic: content.first.topic_arc().clone(),
            destination: content.first.destination().clone(),
            selected: OnceLock::new(),
            count: u32::try_from(content.count()).unwrap_or(u32::MAX),
            id: id.text(),
            since,
            deadline,
            epoch,
            mode,
            sharing,
            permit,
            stored_bytes: AtomicU32::new(stored_bytes),
            most_together: AtomicU32::new(MOST_MESSAGES as u32),
            has_ended: AtomicBool::new(false),
            state: Mutex::new(MessageState {
                has_left: false,
                body: ContentOrEnd::Content(content),
                trouble: None,
                waiter: waker.map_or(Waiter::None, Waiter::Waker),
            }),
        }
    }

    pub(crate) fn topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// How many messages it is.
    pub(crate) fn count(&self) -> usize {
        self.count as usize
    }

    /// The unique id of each of its messages.
    pub(crate) fn ids(&self) -> impl Iterator<Item = IdText> {
        let mut id = self.id.clone();
        (0..self.count).map(move |place| {
            if place > 0 {
                id.count_up();
            }
            id.clone()
        })
    }

    /// When it was accepted, by the wall clock.
    pub(crate) fn born_at_ms(&self, present: &Present) -> i64 {
        present.ms_since_1970(self.since)
    }

    pub(crate) fn destination(&self) -> &Destination {
        &self.destination
    }

    /// The queue that its selector has picked, once it has.
    pub(crate) fn selected(&self) -> Option<&MessageQueue> {
        self.selected.get().map(|queue| &**queue)
    }

    /// Its selector has picked this queue. Only the first pick counts.
    pub(crate) fn select(&self, queue: MessageQueue) {
        self.selected.get_or_init(|| Box::new(queue));
    }

    /// Whether order matters to this message.
    pub(crate) fn is_ordered(&self) -> bool {
        match &self.destination {
            Destination::Any => false,
            Destination::Key(_) | Destination::Selected(_) => true,
            Destination::Queue { ordered, .. } => *ordered,
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// Retries used up.
    pub(crate) fn retries(&self) -> u32 {
        self.state().trouble.as_ref().map_or(0, |trouble| trouble.retries)
    }

    /// One retry is used up.
    pub(crate) fn use_retry(&self) {
        self.state().trouble().retries += 1;
    }

    /// After a batch was refused, how many messages may go together with this one.
    pub(crate) fn most_together(&self) -> usize {
        self.most_together.load(Ordering::Relaxed) as usize
    }

    /// Fewer messages may share a batch with this one from now on.
    pub(crate) fn limit_batch(&self, most: usize) {
        let most = u32::try_from(most.max(1)).unwrap_or(u32::MAX);
        self.most_together.fetch_min(most, Ordering::Relaxed);
    }

    /// The message, or all of the batch, leaves as `write` writes it, unless it has ended.
    pub(crate) fn write_unless_ended<T>(&self, write: impl FnOnce(&Content) -> T) -> Option<T> {
        let MessageState { has_left, body, .. } = &mut *self.state();
        let ContentOrEnd::Content(content) = body else { return None };
        *has_left = true;
        Some(write(content))
    }

    /// Bytes that a broker stores.
    pub(crate) fn stored_bytes(&self) -> usize {
        self.stored_bytes.load(Ordering::Relaxed) as usize
    }

    /// Another attempt begins: gives its number and a copy of what is sent, for interceptors, unless
    /// the message has ended.
    pub(crate) fn begin_attempt(&self) -> Option<(u32, Content)> {
        match &mut self.state().body {
            ContentOrEnd::Content(content) => Some((content.begin_attempt(), content.clone())),
            ContentOrEnd::End(_) | ContentOrEnd::Nothing => None,
        }
    }

    /// From now on this travels with each message beside its own properties.
    pub(crate) fn add(&self, properties: Vec<Properties>) {
        if let ContentOrEnd::Content(content) = &mut self.state().body {
            content.add(properties);
            let stored = stored_bytes(content.sent_bytes());
            self.stored_bytes.store(u32::try_from(stored).unwrap_or(u32::MAX), Ordering::Relaxed);
        }
    }

    /// Shows the message, or all of the batch, unless it has ended.
    pub(crate) fn with_content<T>(&self, look: impl FnOnce(&Content) -> T) -> Option<T> {
        match &self.state().body {
            ContentOrEnd::Content(content) => Some(look(content)),
            ContentOrEnd::End(_) | ContentOrEnd::Nothing => None,
        }
    }

    /// Whether an attempt may have stored it, or may do so still.
    pub(crate) fn may_be_stored(&self) -> bool {
        let state = self.state();
        state.has_left || state.maybe_stored()
    }

    /// Whether an earlier message of its key failed while this one was under way.
    pub(crate) fn earlier_failed(&self) -> bool {
        self.state().earlier_failed()
    }

    /// A server that goes away sends it away; `true` the first time.
    pub(crate) fn note_sent_away(&self) -> bool {
        !std::mem::replace(&mut self.state().trouble().sent_away, true)
    }

    /// What left was certainly not stored, and waits again.
    pub(crate) fn returned_to_line(&self) {
        let mut state = self.state();
        if !state.maybe_stored() {
            state.has_left = false;
        }
    }

    /// Remembers a failed attempt. `false` when the message has ended meanwhile.
    pub(crate) fn note_failed_attempt(&self, attempt: Attempt, cause: Option<Cause>) -> bool {
        let mut state = self.state();
        if self.has_ended() {
            return false;
        }
        match attempt.outcome {
            Outcome::Unknown => state.trouble().maybe_stored = true,
            Outcome::NotStored if !state.maybe_stored() => state.has_left = false,
            Outcome::NotStored => {}
        }
        state.trouble().cause = cause;
        let attempts = &mut state.trouble().attempts;
        if attempts.len() >= KEPT_ATTEMPTS {
            attempts.remove(KEPT_ATTEMPTS / 2);
        }
        attempts.push(attempt);
        true
    }

    /// Remembers why its look-up failed, or has failed so far.
    pub(crate) fn note_failed_look_up(&self, cause: Option<&Cause>) {
        if let Some(cause) = cause {
            self.state().trouble().cause = Some(cause.clone());
        }
    }

    /// Ends the message as stored, or with `Written`. `None` when it had ended before.
    pub(crate) fn succeed(&self, end: End) -> Option<Wake> {
        let mut state = self.state();
        matches!(state.body, ContentOrEnd::Content(_)).then(|| self.end(&mut state, end))
    }

    /// Ends the message as failed. Whether an attempt may have stored it decides the outcome; one
    /// that is still under way may. `None` when it had ended before.
    pub(crate) fn fail(&self, kind: ErrorKind, reason: &str) -> Option<Failed> {
        self.fail_in(&mut self.state(), kind, reason)
    }

    /// An earlier message of its key failed. What has not left fails with it; what has may be
    /// stored by the request that it is in, but is not sent again.
    pub(crate) fn fail_with_earlier(&self, reason: &str) -> Option<Failed> {
        let mut state = self.state();
        state.trouble().earlier_failed = true;
        match state.has_left {
            false => self.fail_in(&mut state, ErrorKind::EarlierFailed, reason),
            true => None,
        }
    }

    /// Takes the message back if nothing of it has left; then no caller gets its end.
    pub(crate) fn withdraw(&self) -> bool {
        let mut state = self.state();
        if state.has_left || state.maybe_stored() || self.has_ended() {
            return false;
        }
        self.has_ended.store(true, Ordering::Release);
        state.waiter = Waiter::None;
        state.take_attempts();
        state.take_content().is_some()
    }

    /// The end, once it has come; until then the caller is woken by it.
    pub(crate) fn poll_end(&self, context: &mut Context<'_>) -> Poll<End> {
        let mut state = self.state();
        if let Some(end) = state.take_end() {
            return Poll::Ready(end);
        }
        match &mut state.waiter {
            Waiter::Waker(waker) => waker.clone_from(context.waker()),
            waiter => *waiter = Waiter::Waker(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Has the caller woken by the end, which has not come yet.
    pub(crate) fn wake_at_end(&self, context: &Context<'_>) {
        self.state().waiter = Waiter::Waker(context.waker().clone());
    }

    /// Has `callback` run at the end; gives it back, with the result, if that has come already.
    pub(crate) fn on_end(&self, callback: Callback) -> Wake {
        let mut state = self.state();
        match state.take_end() {
            Some(end) => Wake::Callback(Box::new((callback, end))),
            None => {
                state.waiter = Waiter::Callback(callback);
                Wake::Nothing
            }
        }
    }

    fn fail_in(&self, state: &mut MessageState, kind: ErrorKind, reason: &str) -> Option<Failed> {
        let content = state.take_content()?;
        let outcome = match state.maybe_stored() || state.has_left {
            true => Outcome::Unknown,
            false => Outcome::NotStored,
        };
        let attempts = state.take_attempts();
        let copy = content.clone();
        let cause = state.trouble.as_mut().and_then(|trouble| trouble.cause.take());
        let error = SendError::new(kind, outcome, reason, attempts, content).caused_by(cause);
        let wake = self.end(state, End::Failed(error));
        Some(Failed { wake, outcome, content: copy })
    }

    fn end(&self, state: &mut MessageState, end: End) -> Wake {
        self.has_ended.store(true, Ordering::Release);
        state.take_attempts();
        match std::mem::replace(&mut state.waiter, Waiter::None) {
            Waiter::Callback(callback) => {
                state.body = ContentOrEnd::Nothing;
                Wake::Callback(Box::new((callback, end)))
            }
            Waiter::Waker(waker) => {
                state.body = ContentOrEnd::End(end);
                Wake::Waker(waker)
            }
            Waiter::None => {
                state.body = ContentOrEnd::End(end);
                Wake::Nothing
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, MessageState> {
        // Nothing in here panics half way, so a poisoned state is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A message that ended as failed.
pub(crate) struct Failed {
    pub(crate) wake: Wake,
    pub(crate) outcome: Outcome,
    pub(crate) content: Content,
}

impl MessageState {
    fn trouble(&mut self) -> &mut Trouble {
        self.trouble.get_or_insert_default()
    }

    fn maybe_stored(&self) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| trouble.maybe_stored)
    }

    fn earlier_failed(&self) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| trouble.earlier_failed)
    }

    fn take_attempts(&mut self) -> Vec<Attempt> {
        let trouble = self.trouble.as_mut();
        trouble.map(|trouble| std::mem::take(&mut trouble.attempts)).unwrap_or_default()
    }

    fn take_content(&mut self) -> Option<Content> {
        match std::mem::replace(&mut self.body, ContentOrEnd::Nothing) {
            ContentOrEnd::Content(content) => Some(content),
            body => {
                self.body = body;
                None
            }
        }
    }

    fn take_end(&mut self) -> Option<End> {
        if !matches!(self.body, ContentOrEnd::End(_)) {
            return None;
        }
        match std::mem::replace(&mut self.body, ContentOrEnd::Nothing) {
            ContentOrEnd::End(end) => Some(end),
            ContentOrEnd::Content(_) | ContentOrEnd::Nothing => None,
        }
    }
}

impl fmt::Debug for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted")
            .field("topic", &self.topic)
            .field("id", &format_args!("{}", self.id))
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::message::unique_id::{UniqueIds, own_ip};

    /// Terms of a message that has just been accepted.
    pub(crate) fn terms(deadline: Instant, sharing: Sharing) -> Terms {
        Terms {
            id: UniqueIds::new(own_ip()).next(1),
            since: Instant::now(),
            deadline,
            epoch: Epoch::default(),
            mode: Mode::Async,
            sharing,
            permit: Permit { messages: 1, bytes: 1 },
            stored_bytes: 300,
            waker: None,
        }
    }
}
