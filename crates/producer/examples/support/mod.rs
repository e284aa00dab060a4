//! What the examples share: somewhere to send to.

#![allow(dead_code, reason = "each example uses a part")]

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
    let broker = Broker::builder().start().await?;
    Ok(Cluster { name_servers: broker.name_server().to_string(), _broker: Some(broker) })
}
