//! A broker that is paused, goes down, comes up, restarts.

use tokio::sync::oneshot;

use super::{BrokerHandle, Running};
use crate::builder::BrokerBuilder;
use crate::engine::{Engine, Identity};
use crate::engine_loop::Event;
use crate::error::{BrokerError, Stopped};
use crate::store::{DiskStore, MemoryStore};

/// Why a broker does not go down, or does not come up.
pub(crate) enum Outage {
    /// It does not run any more.
    Stopped(Stopped),
    /// A port or the data folder cannot be used.
    Broker(BrokerError),
}

impl From<Stopped> for Outage {
    fn from(stopped: Stopped) -> Self {
        Self::Stopped(stopped)
    }
}

impl From<BrokerError> for Outage {
    fn from(error: BrokerError) -> Self {
        Self::Broker(error)
    }
}

/// What a restart changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use = "it says how to restart; hand it to `restart`"]
pub struct Restart {
    without_data: bool,
    moves: Option<Moves>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moves {
    Broker,
    Both,
}

impl Restart {
    /// On the same ports, with its data: topics, messages, offsets, transactions. Also of a broker
    /// that keeps everything in memory.
    pub fn same() -> Self {
        Self::default()
    }

    /// Without its data: it starts empty, with the topics of its settings. Its data folder is
    /// emptied.
    pub fn without_data(mut self) -> Self {
        self.without_data = true;
        self
    }

    /// The broker listens on another port, and the name server on the same one, so that clients
    /// learn of it from the route.
    pub fn on_another_port(mut self) -> Self {
        self.moves = Some(Moves::Broker);
        self
    }

    /// Both listen on other ports; ask [`Broker::name_server`](crate::Broker::name_server).
    pub fn on_other_ports(mut self) -> Self {
        self.moves = Some(Moves::Both);
        self
    }
}

impl BrokerHandle {
    pub(crate) async fn set_paused(&self, is_on: bool) -> Result<(), Stopped> {
        let (begun, has_begun) = oneshot::channel();
        self.tell(Event::Pause(is_on, begun))?;
        has_begun.await.map_err(|_| self.stopped())
    }

    pub(crate) async fn close_ports(&self) -> Result<(), Outage> {
        let running = self.running.upgrade().ok_or_else(|| self.stopped())?;
        let mut ports = running.ports.lock().await;
        running.leave();
        ports.down().await?;
        drop(ports);
        drop(running);
        // The engine knows by then that the connections have ended.
        Ok(self.ask(|_, _, _| ()).await?)
    }

    pub(crate) async fn open_ports(&self) -> Result<(), Outage> {
        let running = self.running.upgrade().ok_or_else(|| self.stopped())?;
        running.ports.lock().await.up()?;
        running.join();
        Ok(())
    }

    pub(crate) async fn start_again(&self, how: Restart) -> Result<(), Outage> {
        let running = self.running.upgrade().ok_or_else(|| self.stopped())?;
        let mut ports = running.ports.lock().await;
        running.leave();
        ports.down().await?;
        self.set_paused(false).await?;
        if let Some(moves) = how.moves {
            ports.change(moves == Moves::Both)?;
        }
        let identity = running.settings.identity(ports.addresses().broker);
        let Running { settings, open, .. } = &*running;
        let (settings, open) = (settings.clone(), *open);
        self.ask(move |engine, _, _| match how.without_data {
            true => renew(engine, &settings, identity, open),
            false => {
                engine.identity = identity;
                Ok(())
            }
        })
        .await??;
        running.addresses.send_replace(ports.addresses());
        ports.up()?;
        running.join();
        Ok(())
    }
}

/// Puts an engine without data in the place of another one.
fn renew(
    engine: &mut Engine,
    settings: &BrokerBuilder,
    identity: Identity,
    open: super::Open,
) -> Result<(), BrokerError> {
    // Its files are given up before they are deleted.
    engine.store = Box::new(MemoryStore::new(0));
    if let Some(folder) = &settings.data_dir {
        DiskStore::delete(folder)?;
    }
    let mut new = open(settings, identity)?;
    new.take_watchers_of(engine);
    *engine = new;
    Ok(())
}
