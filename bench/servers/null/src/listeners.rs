//! The ports, and the one thread that serves all connections.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};

use crate::answer::Answers;
use crate::conversation::{Conversation, Shared};
use crate::route::Routes;

/// One port for the name server, which is a broker too, and one for each further broker.
pub(crate) struct Listeners {
    poll: Poll,
    listeners: Vec<TcpListener>,
    conversations: HashMap<Token, Conversation>,
    shared: Shared,
    count: Arc<AtomicU64>,
}

impl Listeners {
    pub(crate) fn bind(brokers: usize, queues: i32, count: Arc<AtomicU64>) -> Result<Self> {
        let poll = Poll::new()?;
        let mut listeners = Vec::new();
        let mut addresses = Vec::new();
        for number in 0..brokers.max(1) {
            let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let mut listener = TcpListener::bind(any_port)?;
            poll.registry().register(&mut listener, Token(number), Interest::READABLE)?;
            addresses.push(listener.local_addr()?.to_string());
            listeners.push(listener);
        }
        let routes = Routes::new(&addresses, queues);
        let shared = Shared { routes, answers: Answers::new(), messages: 0 };
        Ok(Self { poll, listeners, conversations: HashMap::new(), shared, count })
    }

    pub(crate) fn name_server(&self) -> Result<SocketAddr> {
        Ok(self.listeners.first().context("no port")?.local_addr()?)
    }

    /// Serves until the process ends.
    pub(crate) fn serve(mut self) -> Result<()> {
        let mut events = Events::with_capacity(256);
        let mut next = self.listeners.len();
        loop {
            match self.poll.poll(&mut events, None) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                other => other?,
            }
            for event in &events {
                if event.token().0 < self.listeners.len() {
                    self.accept(event.token(), &mut next)?;
                } else {
                    self.serve_one(event.token());
                }
            }
            self.count.store(self.shared.messages, Ordering::Relaxed);
        }
    }

    fn accept(&mut self, token: Token, next: &mut usize) -> Result<()> {
        let Some(listener) = self.listeners.get(token.0) else { return Ok(()) };
        while let Ok((mut stream, _)) = listener.accept() {
            stream.set_nodelay(true)?;
            let (token, both) = (Token(*next), Interest::READABLE | Interest::WRITABLE);
            self.poll.registry().register(&mut stream, token, both)?;
            self.conversations.insert(token, Conversation::new(stream));
            *next += 1;
        }
        Ok(())
    }

    fn serve_one(&mut self, token: Token) {
        let Some(conversation) = self.conversations.get_mut(&token) else { return };
        if !conversation.go_on(&mut self.shared).unwrap_or(false) {
            self.conversations.remove(&token);
        }
    }
}
