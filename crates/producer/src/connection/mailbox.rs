//! Hop 3 of a send: where the task of a connection gets its orders from.
//!
//! Callers put them in one by one, the task takes out all that are there in one go: a lock that is
//! held for a moment costs less than a queue that is synchronised place by place. And the task is
//! only woken when it is worth it: while it holds messages back for their batch to grow, one more is
//! nothing that it has to know.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use tokio::task::coop::cooperative;

use super::TaskOrder;
use crate::accepted::cache_padded::CachePadded;

/// Memory for more orders than this is not kept.
const KEPT_ORDERS: usize = 4096;

/// What every sender writes to stands together: a core fetches it in one go.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    sender_side: CachePadded<SenderSide>,
}

#[derive(Debug, Default)]
struct SenderSide {
    inside: Mutex<Inside>,
    /// Messages that were put in and are neither done with nor elsewhere: in here, in the task's outbox,
    /// or in flight.
    backlog: AtomicUsize,
}

#[derive(Debug, Default)]
struct Inside {
    orders: VecDeque<TaskOrder>,
    /// How many messages among them may be held back.
    holdable: usize,
    /// Whether there is anything else among them.
    urgent: bool,
    /// The task while it waits, and for how many messages that may be held back.
    waits: Option<(Waker, usize)>,
    /// All handles of the connection are gone.
    unused: bool,
    /// The task has ended.
    closed: bool,
}

impl Inside {
    fn has(&self, enough: usize) -> bool {
        self.urgent || self.holdable >= enough
    }
}

impl Mailbox {
    /// Puts an order in; gives it back when the task has ended.
    pub(super) fn put(&self, order: TaskOrder) -> Result<(), TaskOrder> {
        let holdable = order.holdable();
        let mut inside = self.inside();
        if inside.closed {
            return Err(order);
        }
        self.keep(order.messages());
        inside.orders.push_back(order);
        match holdable {
            0 => inside.urgent = true,
            messages => inside.holdable += messages,
        }
        let woken = match &inside.waits {
            Some((_, enough)) if inside.has(*enough) => inside.waits.take(),
            _ => None,
        };
        drop(inside);
        if let Some((task, _)) = woken {
            task.wake();
        }
        Ok(())
    }

    /// All handles of the connection are gone: from now on only its own parts may give orders.
    pub(super) fn end(&self) {
        self.inside().unused = true;
        // A task that has ended needs no order.
        let _ = self.put(TaskOrder::Unused);
    }

    /// Whether orders from outside are still carried out.
    pub(super) fn is_open(&self) -> bool {
        let inside = self.inside();
        !inside.unused && !inside.closed
    }

    /// Takes everything out, in its order, for `taken` memory that is empty.
    pub(super) fn take(&self, taken: &mut VecDeque<TaskOrder>) {
        if taken.capacity() > KEPT_ORDERS {
            *taken = VecDeque::new();
        }
        let mut inside = self.inside();
        std::mem::swap(&mut inside.orders, taken);
        (inside.holdable, inside.urgent) = (0, false);
        // Taking does not wait; and the last handle of a task is not dropped under the lock.
        let waits = inside.waits.take();
        drop(inside);
        drop(waits);
    }

    /// Awaits this many messages that may be held back, or any other order.
    pub(super) fn filled(&self, enough: usize) -> impl Future<Output = ()> {
        cooperative(poll_fn(move |context| {
            let mut inside = self.inside();
            if inside.has(enough) {
                return Poll::Ready(());
            }
            let before = inside.waits.replace((context.waker().clone(), enough));
            drop(inside);
            drop(before);
            Poll::Pending
        }))
    }

    /// The task has ended: gives what it has not taken, and takes nothing more in.
    pub(super) fn close(&self) -> VecDeque<TaskOrder> {
        self.inside().closed = true;
        let mut rest = VecDeque::new();
        self.take(&mut rest);
        rest
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        // Nothing in here panics half way, so a poisoned one is whole.
        self.sender_side.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Messages in the backlog.
    pub(super) fn backlog(&self) -> usize {
        self.sender_side.backlog.load(Ordering::Relaxed)
    }

    /// This many messages are no longer the connection's.
    pub(super) fn done_with(&self, messages: usize) {
        if messages > 0 {
            self.sender_side.backlog.fetch_sub(messages, Ordering::Relaxed);
        }
    }

    /// This many messages are the connection's, or still are.
    pub(super) fn keep(&self, messages: usize) {
        if messages > 0 {
            self.sender_side.backlog.fetch_add(messages, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Wake};
    use std::time::Instant;

    use super::*;
    use crate::accepted::Sharing;
    use crate::connection::outbox::OpenAttempt;
    use crate::connection::outbox::tests::sharing_attempt;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn message(sharing: Sharing) -> OpenAttempt {
        sharing_attempt("t", "body", None, Instant::now(), sharing)
    }

    /// Puts this many messages in that may be held back.
    fn put(mailbox: &Mailbox, messages: usize) {
        let sharing = Sharing::With { wait_stored: true, oneway: false, sys_flag: 0 };
        for _ in 0..messages {
            mailbox.put(TaskOrder::Send(message(sharing))).unwrap();
        }
    }

    /// Whether a task that waits for that many goes on at once; how often it is woken by `then`.
    fn wakes(mailbox: &Mailbox, enough: usize, then: impl FnOnce()) -> (bool, usize) {
        let wakes = Arc::<Wakes>::default();
        let waker = Waker::from(wakes.clone());
        let mut filled = pin!(mailbox.filled(enough));
        let ready = filled.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        then();
        (ready, wakes.0.load(Ordering::Relaxed))
    }

    fn take(mailbox: &Mailbox) -> usize {
        let mut taken = VecDeque::new();
        mailbox.take(&mut taken);
        taken.len()
    }

    #[test]
    fn it_wakes_once_when_enough_are_there() {
        let mailbox = Mailbox::default();
        assert_eq!(wakes(&mailbox, 3, || put(&mailbox, 2)), (false, 0));
        assert_eq!(wakes(&mailbox, 3, || put(&mailbox, 2)), (false, 1));
        assert_eq!(wakes(&mailbox, 4, || ()), (true, 0));
        assert_eq!(take(&mailbox), 4);
        assert_eq!(wakes(&mailbox, 1, || ()), (false, 0), "what was taken is not counted");
    }

    #[test]
    fn what_cannot_wait_wakes_at_once() {
        let mailbox = Mailbox::default();
        let urgent: [fn() -> TaskOrder; 2] =
            [|| TaskOrder::Look, || TaskOrder::Send(message(Sharing::Alone))];
        for order in urgent {
            assert_eq!(wakes(&mailbox, 1000, || mailbox.put(order()).unwrap()), (false, 1));
            assert_eq!(wakes(&mailbox, 1000, || ()), (true, 0));
            assert_eq!(take(&mailbox), 1);
        }
        assert_eq!(wakes(&mailbox, 1000, || mailbox.end()), (false, 1));
    }

    #[test]
    fn who_takes_does_not_wait_any_more() {
        let mailbox = Mailbox::default();
        let then = || {
            take(&mailbox);
            put(&mailbox, 1);
        };
        assert_eq!(wakes(&mailbox, 1, then), (false, 0));
    }

    #[test]
    fn nothing_is_lost_when_the_task_ends() {
        let mailbox = Mailbox::default();
        put(&mailbox, 2);
        assert!(mailbox.is_open());
        assert_eq!(mailbox.close().len(), 2);
        assert!(!mailbox.is_open());
        let given_back = mailbox.put(TaskOrder::Send(message(Sharing::Alone)));
        assert!(matches!(given_back, Err(TaskOrder::Send(_))));
    }

    #[test]
    fn without_handles_only_the_connection_s_own_parts_are_heard() {
        let mailbox = Mailbox::default();
        mailbox.end();
        assert!(!mailbox.is_open());
        assert_eq!(take(&mailbox), 1);
        mailbox.put(TaskOrder::Look).unwrap();
        assert_eq!(take(&mailbox), 1);
    }
}
