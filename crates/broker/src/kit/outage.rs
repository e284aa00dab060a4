//! Faults of the whole broker.

use crate::broker::{BrokerHandle, Outage, Restart};
use crate::kit::error::KitError;

impl BrokerHandle {
    /// Stops answering: connections stay and are accepted, what they bring is left for
    /// [`resume`](Self::resume), and nothing is delivered or asked meanwhile. The questions of tests are
    /// answered nevertheless. Once this returns, no request is handled any more.
    ///
    /// Requests are held up to about 64 MiB; then the broker reads no more. A broker that is
    /// stopped in a pause does not handle what it holds.
    ///
    /// # Errors
    /// [`KitError::Stopped`].
    pub async fn pause(&self) -> Result<(), KitError> {
        Ok(self.set_paused(true).await?)
    }

    /// Goes on after a [`pause`](Self::pause), with what has arrived since. Without one, nothing
    /// happens.
    ///
    /// # Errors
    /// [`KitError::Stopped`].
    pub async fn resume(&self) -> Result<(), KitError> {
        Ok(self.set_paused(false).await?)
    }

    /// Goes down as if its process had ended: all connections end, and both ports refuse new ones,
    /// until it comes [up](Self::up). The ports stay its own. Requests that have arrived may be
    /// handled, and are not answered.
    ///
    /// # Errors
    /// [`KitError::Stopped`]; [`KitError::Broker`] when another program takes a port at that moment.
    pub async fn down(&self) -> Result<(), KitError> {
        Ok(self.close_ports().await?)
    }

    /// Comes up after it went [down](Self::down): on the same ports, with its data. If it is up,
    /// nothing happens.
    ///
    /// # Errors
    /// [`KitError::Stopped`]; [`KitError::Broker`] when the system does not let it listen.
    pub async fn up(&self) -> Result<(), KitError> {
        Ok(self.open_ports().await?)
    }

    /// Goes down, and comes up again as `how` says. A pause ends with it.
    ///
    /// # Errors
    /// [`KitError::Stopped`]; [`KitError::Broker`] when a port or the data folder cannot be used. It
    /// stays down then.
    pub async fn restart(&self, how: Restart) -> Result<(), KitError> {
        Ok(self.start_again(how).await?)
    }
}

impl From<Outage> for KitError {
    fn from(outage: Outage) -> Self {
        match outage {
            Outage::Stopped(stopped) => stopped.into(),
            Outage::Broker(error) => Self::Broker(error),
        }
    }
}
