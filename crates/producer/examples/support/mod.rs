//! What the examples share: somewhere to send to.

#![allow(dead_code, reason = "each example uses a part")]

use std::time::Duration;

use posthaste_broker::{Broker, BrokerError};

/// Name servers to use, and the broker behind them if it is the example's own.
pub(crate) struct Cluster {
    pub(crate) name_servers: String,
    _broker: Option<Broker>,
}

/// The cluster that `NAMESRV_ADDR` names; without it a broker in this process, on free ports,
/// which ends with the example.
pub(crate) async fn cluster() -> Result<Cluster, BrokerError> {
    if let Ok(name_servers) = std::env::var("NAMESRV_ADDR") {
        return Ok(Cluster { name_servers, _broker: None });
    }
    // The example's own broker asks soon about undecided transactions.
    let soon = Duration::from_millis(500);
    let settings = Broker::builder().transaction_timeout(soon).transaction_check_interval(soon);
    let broker = settings.start().await?;
    Ok(Cluster { name_servers: broker.name_server().to_string(), _broker: Some(broker) })
}
