//! SIGINT, SIGTERM and SIGHUP: the first asks for a clean end; too many end the program at once.

use std::io;

use tokio::sync::watch;

use crate::exit::{Exit, Failure};

/// How often the user has asked the program to end.
pub(crate) struct Interrupt {
    asked: watch::Receiver<u32>,
    /// How often of these [`next`](Self::next) has said so.
    seen: u32,
}

impl Interrupt {
    /// Listens from now on. The command acts on this many interrupts; one more ends the program at
    /// once. Must be called inside of the runtime.
    ///
    /// # Errors
    /// When the system does not let the program listen.
    pub(crate) fn listen(acted_on: u32) -> Result<Self, Failure> {
        let mut signals = Signals::new().map_err(|error| {
            Failure::new(Exit::Failed, "system", format!("cannot listen for signals: {error}"))
        })?;
        let (ask, asked) = watch::channel(0);
        tokio::spawn(async move {
            for _ in 0..acted_on {
                signals.next().await;
                ask.send_modify(|asked| *asked += 1);
            }
            signals.next().await;
            std::process::exit(Exit::Interrupted as i32);
        });
        Ok(Self::of(asked))
    }

    /// The interrupts that this channel counts.
    pub(crate) fn of(asked: watch::Receiver<u32>) -> Self {
        Self { asked, seen: 0 }
    }

    /// Waits until the program is asked to end, once more than this has said so before. May be
    /// dropped and called again.
    pub(crate) async fn next(&mut self) {
        let seen = self.seen;
        if self.asked.wait_for(|asked| *asked > seen).await.is_err() {
            // Nothing is left that could ask.
            std::future::pending::<()>().await;
        }
        self.seen += 1;
    }
}

#[cfg(unix)]
struct Signals(Vec<tokio::signal::unix::Signal>);

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut kinds = vec![SignalKind::interrupt(), SignalKind::terminate()];
        if !is_hangup_ignored() {
            kinds.push(SignalKind::hangup());
        }
        Ok(Self(kinds.into_iter().map(signal).collect::<Result<_, _>>()?))
    }

    async fn next(&mut self) {
        std::future::poll_fn(|context| {
            let mut came = self.0.iter_mut().map(|signal| signal.poll_recv(context).is_ready());
            match came.any(|came| came) {
                true => std::task::Poll::Ready(()),
                false => std::task::Poll::Pending,
            }
        })
        .await;
    }
}

/// Whether the program was started to outlive its terminal, as `nohup` does it: then listening
/// would make an end of what is to be ignored.
#[cfg(unix)]
fn is_hangup_ignored() -> bool {
    match std::fs::read_to_string("/proc/self/status") {
        Ok(status) => ignores_hangup(&status),
        // Not Linux. nohup leaves no stream on a terminal.
        Err(_) => !io::IsTerminal::is_terminal(&io::stderr()),
    }
}

/// Reads it from `/proc/self/status`: the lowest bit of the mask of ignored signals is SIGHUP's.
#[cfg(unix)]
fn ignores_hangup(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.is_some_and(|mask| {
        u64::from_str_radix(mask.trim(), 16).is_ok_and(|ignored| ignored & 1 == 1)
    })
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_interrupt_is_told_once() {
        let (ask, asked) = watch::channel(0);
        let mut interrupt = Interrupt::of(asked);
        ask.send_replace(2);
        interrupt.next().await;
        interrupt.next().await;
        let third =
            tokio::select! { biased; () = interrupt.next() => true, () = async {} => false };
        assert!(!third);
        drop(ask);
        let third =
            tokio::select! { biased; () = interrupt.next() => true, () = async {} => false };
        assert!(!third, "nothing can ask any more");
    }

    #[cfg(unix)]
    #[test]
    fn what_nohup_starts_ignores_a_hangup() {
        let status = |mask: &str| format!("Name:\tx\nSigIgn:\t{mask}\nSigCgt:\t0000000000000001\n");
        assert!(ignores_hangup(&status("0000000000001001")));
        assert!(!ignores_hangup(&status("0000000000001000")));
        assert!(!ignores_hangup("Name:\tx\n"));
    }
}
