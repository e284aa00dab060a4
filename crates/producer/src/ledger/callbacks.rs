//! Where callbacks run: one after another on a separate thread, or where the application wants
//! them.
//!
//! One that blocks must not hold up a connection, so none runs where messages end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock, mpsc};

use crate::accepted::CallbackRun;
use crate::config::Executor;

#[derive(Clone, Default)]
pub(crate) struct Callbacks {
    executor: Option<Arc<Executor>>,
    /// Started with the first that it is needed for.
    thread: Arc<OnceLock<mpsc::Sender<CallbackRun>>>,
}

/// A callback that was handed to an executor. If that drops the callback, it still runs.
struct ExecutorTask {
    run: Option<CallbackRun>,
    callbacks: Callbacks,
}

impl Callbacks {
    pub(crate) fn new(executor: Option<Arc<Executor>>) -> Self {
        Self { executor, thread: Arc::default() }
    }

    pub(crate) fn run(&self, run: CallbackRun) {
        let Some(executor) = &self.executor else { return self.run_on_thread(run) };
        let mut task = ExecutorTask { run: Some(run), callbacks: self.clone() };
        let hand_over = || executor(Box::new(move || task.run()));
        if catch_unwind(AssertUnwindSafe(hand_over)).is_err() {
            tracing::error!("the executor of callbacks panicked");
        }
    }

    fn run_on_thread(&self, run: CallbackRun) {
        if let Err(mpsc::SendError(run)) = self.thread.get_or_init(start_thread).send(run) {
            // There is no thread to be had: better late here than never.
            run_now(run);
        }
    }
}

impl ExecutorTask {
    fn run(&mut self) {
        if let Some(run) = self.run.take() {
            run_now(run);
        }
    }
}

impl Drop for ExecutorTask {
    fn drop(&mut self) {
        if let Some(run) = self.run.take() {
            tracing::warn!(
                "the executor of callbacks has dropped one; it runs on the producer's thread"
            );
            self.callbacks.run_on_thread(run);
        }
    }
}

fn start_thread() -> mpsc::Sender<CallbackRun> {
    let (sender, receiver) = mpsc::channel::<CallbackRun>();
    let thread = std::thread::Builder::new().name("posthaste-callbacks".into());
    let started = thread.spawn(move || receiver.into_iter().for_each(run_now));
    if let Err(error) = started {
        tracing::error!(%error, "no thread for callbacks; they run where messages end");
    }
    sender
}

fn run_now((callback, end): CallbackRun) {
    if catch_unwind(AssertUnwindSafe(|| callback(end))).is_err() {
        tracing::error!("a callback panicked; its message has ended nevertheless");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, channel};
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::accepted::End;

    type Kept = Box<dyn FnOnce() + Send>;

    /// A callback that says on which thread it runs.
    fn told() -> (CallbackRun, Receiver<Option<String>>) {
        let (sender, receiver) = channel();
        let callback = move |_| {
            let name = thread::current().name().map(str::to_owned);
            sender.send(name).unwrap();
        };
        ((Box::new(callback), End::Written), receiver)
    }

    fn thread_of(callbacks: &Callbacks) -> String {
        let (run, told) = told();
        callbacks.run(run);
        let name = told.recv_timeout(Duration::from_secs(60)).expect("it never runs").unwrap();
        assert!(told.recv().is_err(), "it runs once");
        name
    }

    #[test]
    fn callbacks_run_where_the_application_wants_them() {
        let pool = |task: Box<dyn FnOnce() + Send>| {
            thread::Builder::new().name("pool".into()).spawn(task).unwrap();
        };
        assert_eq!(thread_of(&Callbacks::new(Some(Arc::new(pool)))), "pool");
        assert_eq!(thread_of(&Callbacks::default()), "posthaste-callbacks");
    }

    /// A pool that is full, or shut down.
    #[test]
    fn what_an_executor_drops_runs_all_the_same() {
        let drops = |task: Box<dyn FnOnce() + Send>| drop(task);
        assert_eq!(thread_of(&Callbacks::new(Some(Arc::new(drops)))), "posthaste-callbacks");
        let panics = |_: Box<dyn FnOnce() + Send>| panic!("on purpose");
        assert_eq!(thread_of(&Callbacks::new(Some(Arc::new(panics)))), "posthaste-callbacks");
    }

    #[test]
    fn an_executor_may_run_them_later_and_they_may_panic() {
        let kept: Arc<Mutex<Vec<Kept>>> = Arc::default();
        let keeps = kept.clone();
        let callbacks =
            Callbacks::new(Some(Arc::new(move |task| keeps.lock().unwrap().push(task))));
        let (run, told) = told();
        callbacks.run(run);
        callbacks.run((Box::new(|_| panic!("on purpose")), End::Written));
        assert!(told.try_recv().is_err());
        for task in std::mem::take(&mut *kept.lock().unwrap()) {
            task();
        }
        told.try_recv().unwrap();
    }
}
