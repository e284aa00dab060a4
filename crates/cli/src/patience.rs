//! Says that no name server can be connected to, while a command still tries.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use tokio::net::TcpStream;

/// How long a command is silent before users wonder.
const SILENCE: Duration = Duration::from_millis(500);
/// How long one server may take to be connected to.
const LIMIT: Duration = Duration::from_secs(1);

/// Looks after a moment whether any of these servers can be connected to; if not, says so once on
/// stderr. Nothing is said of a command that is over by then, or has no time to try any longer.
pub(crate) fn speak_up(servers: String, timeout: Duration) {
    if timeout <= SILENCE {
        return;
    }
    tokio::spawn(async move {
        tokio::time::sleep(SILENCE).await;
        let mut reasons = Vec::new();
        for server in servers.split(';') {
            match tokio::time::timeout(LIMIT, TcpStream::connect(server)).await {
                Ok(Ok(_)) => return,
                Ok(Err(error)) => reasons.push(format!("{server}: {error}")),
                Err(_) => reasons.push(format!("{server}: no answer")),
            }
        }
        // A bar may be on the line; it is drawn again below.
        let clear = if io::stderr().is_terminal() { "\r\x1b[2K" } else { "" };
        let text = reasons.join("; ");
        // When stderr is closed, no one is left to tell.
        let _ = writeln!(io::stderr(), "{clear}no name server yet ({text}); still trying");
    });
}
