//! The thread that does the work, and how others wait for it.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::{Producer, ProducerBuilder, StartError};

/// Longer than any message lives.
const TO_THE_END: Duration = Duration::from_secs(86_400);

/// The way to the thread. It ends when this is dropped and what was accepted has ended.
#[derive(Debug)]
pub(super) struct Runtime {
    handle: Handle,
    _alive: oneshot::Sender<()>,
}

impl Runtime {
    /// Starts a producer on its own thread.
    pub(super) fn start(builder: ProducerBuilder) -> Result<(Producer, Self), StartError> {
        let (alive, gone) = oneshot::channel();
        let (sender, started) = mpsc::sync_channel(1);
        let thread = thread::Builder::new().name("posthaste".into());
        let spawned = thread.spawn(move || run(builder, &sender, gone));
        spawned.map_err(|error| no_thread(&error.to_string()))?;
        let (producer, handle) = started.recv().map_err(|_| no_thread("it has ended"))??;
        Ok((producer, Self { handle, _alive: alive }))
    }

    /// Parks this thread until the future is done.
    ///
    /// The runtime's own `block_on` would panic in asynchronous code; a thread can always be
    /// parked.
    pub(super) fn wait<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        loop {
            // Without a deadline there is always an output.
            if let Some(output) = self.wait_until(future.as_mut(), None) {
                return output;
            }
        }
    }

    /// As [`wait`](Self::wait), up to `deadline` if there is one.
    pub(super) fn wait_until<F: Future>(
        &self,
        future: F,
        deadline: Option<Instant>,
    ) -> Option<F::Output> {
        // Timers and tasks that the future makes are the runtime's.
        let _entered = self.handle.enter();
        let signal = Arc::new(Signal::default());
        let waker = Waker::from(signal.clone());
        let mut context = Context::from_waker(&waker);
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return Some(output);
            }
            if !signal.wait(deadline) {
                return None;
            }
        }
    }
}

type Started = Result<(Producer, Handle), StartError>;

/// The thread: starts the producer, works until all handles are gone, and lets it drain.
fn run(builder: ProducerBuilder, started: &mpsc::SyncSender<Started>, gone: oneshot::Receiver<()>) {
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(started.send(Err(no_thread(&error.to_string())))),
    };
    runtime.block_on(async {
        let producer = match builder.start().await {
            Ok(producer) => producer,
            Err(error) => return drop(started.send(Err(error))),
        };
        if started.send(Ok((producer.clone(), Handle::current()))).is_ok() {
            // It ends as an error when the sender is dropped, which is what is awaited.
            let _ = gone.await;
        }
        drop(producer.close(TO_THE_END).await);
    });
}

fn no_thread(reason: &str) -> StartError {
    StartError::Setting(format!("no thread for the producer: {reason}"))
}

/// Says that a future may have come further.
#[derive(Default)]
struct Signal {
    woken: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    /// Waits for the signal and takes it; `false` at the deadline.
    fn wait(&self, deadline: Option<Instant>) -> bool {
        let mut woken = self.woken.lock().unwrap_or_else(PoisonError::into_inner);
        while !*woken {
            let Some(deadline) = deadline else {
                woken = self.changed.wait(woken).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.changed.wait_timeout(woken, left);
            woken = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *woken = false;
        true
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        *self.woken.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }
}
