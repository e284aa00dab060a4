//! The tokio runtime that a producer runs on, and what it has to have.

use std::net::{Ipv4Addr, UdpSocket};
use std::panic::catch_unwind;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::StartError;

/// The current runtime, if it has all that a producer needs.
pub(crate) fn current() -> Result<Handle, StartError> {
    let runtime = Handle::try_current().map_err(|_| StartError::NoRuntime)?;
    let lacks = match (has_timers(), has_io()) {
        (true, true) => return Ok(runtime),
        (false, true) => "timers",
        (true, false) => "I/O",
        (false, false) => "timers and no I/O",
    };
    Err(StartError::Runtime { lacks })
}

// A runtime does not say what it has. It panics where a thing is made that it has no part for:
// better here, where the panic is caught and reported, than in a task in the background.

fn has_timers() -> bool {
    catch_unwind(|| drop(tokio::time::sleep(Duration::ZERO))).is_ok()
}

fn has_io() -> bool {
    // Nothing is sent through it.
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
    let Ok(socket) = socket.and_then(|socket| socket.set_nonblocking(true).map(|()| socket)) else {
        // Without a socket it cannot be seen here. It shows when a connection is made.
        return true;
    };
    catch_unwind(|| drop(tokio::net::UdpSocket::from_std(socket))).is_ok()
}

#[cfg(test)]
mod tests {
    use tokio::runtime::Builder;

    use crate::{Producer, StartError};

    fn start_on(builder: &mut Builder) -> Result<Producer, StartError> {
        let runtime = builder.build().unwrap();
        runtime.block_on(Producer::builder("runtime", "127.0.0.1:1").start())
    }

    #[test]
    fn a_runtime_without_timers_or_io_is_told_what_it_lacks() {
        let lacks = |lacks| StartError::Runtime { lacks };
        for (started, expected) in [
            (start_on(&mut Builder::new_current_thread()), Some(lacks("timers and no I/O"))),
            (start_on(Builder::new_current_thread().enable_time()), Some(lacks("I/O"))),
            (start_on(Builder::new_current_thread().enable_io()), Some(lacks("timers"))),
            (start_on(&mut Builder::new_multi_thread()), Some(lacks("timers and no I/O"))),
            (start_on(Builder::new_current_thread().enable_all()), None),
            (start_on(Builder::new_multi_thread().enable_all()), None),
        ] {
            if let Some(error) = &expected {
                assert!(error.to_string().contains("enable_all"), "{error}");
            }
            assert_eq!(started.err(), expected);
        }
    }

    #[test]
    fn without_a_runtime_it_says_so() {
        let start = Producer::builder("runtime", "127.0.0.1:1").start();
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let started = std::pin::pin!(start).poll(&mut context);
        let error = matches!(started, std::task::Poll::Ready(Err(StartError::NoRuntime)));
        assert!(error);
    }
}
