use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Result, bail};

// Below the range from which systems pick ports for outgoing connections, so that no such connection takes
// a port between its choice here and its use by a server.
const LOWEST: u16 = 20_000;
const HIGHEST: u16 = 29_990;
const TRIES: usize = 200;

/// A free port p on loopback whose neighbours p-2 and p+1, which a broker also takes, are free as well.
pub(crate) fn free_port() -> Result<u16> {
    for _ in 0..TRIES {
        let port = fastrand::u16(LOWEST..HIGHEST);
        if [port - 2, port, port + 1].into_iter().all(is_free) {
            return Ok(port);
        }
    }
    bail!("found no three free ports between {LOWEST} and {HIGHEST}")
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}
