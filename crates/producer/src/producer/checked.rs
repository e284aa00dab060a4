//! What is wrong with an application's settings, if anything is.

use std::time::Duration;

use super::ProducerBuilder;
use crate::StartError;
use crate::config::Config;
use crate::config::namespace::Namespace;
use crate::message::validate;
use crate::net::trusted::TrustedBrokers;

/// Routes are not polled more often than this.
const SHORTEST_POLL: Duration = Duration::from_millis(100);

impl ProducerBuilder {
    /// The settings as the producer goes by them.
    pub(super) fn checked(self) -> Result<Config, StartError> {
        let mut config = self.config;
        config.shorten_times();
        config.identity.check().map_err(StartError::Setting)?;
        config.name_servers = self.name_servers.checked(config.identity.unit_name.as_deref())?;
        let namespace = self.namespace.as_deref().map(Namespace::new).transpose();
        config.namespace = namespace.map_err(StartError::Setting)?;
        if let Some(namespace) = self.namespace_v2 {
            validate::field("namespace_v2", &namespace).map_err(StartError::Setting)?;
            config.seal.fields = vec![("nsd", "true".to_owned()), ("ns", namespace)];
        }
        let trusted = self.trusted_brokers.as_deref().map(TrustedBrokers::new).transpose();
        config.trusted = trusted.map_err(StartError::Setting)?;
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            config.tls = Some(tls.connector().map_err(StartError::Tls)?);
        }
        if let Some(proxy) = &config.socks5 {
            proxy.check().map_err(StartError::Setting)?;
        }
        validate::group(&config.group).map_err(StartError::Group)?;
        config.group = config.on_wire(&config.own_group).into();
        validate::group(&config.group).map_err(StartError::Group)?;
        for topic in &config.topics {
            validate::topic(&config.on_wire(topic)).map_err(StartError::Setting)?;
        }
        if let Some(zone) = &config.zone {
            validate::field("zone", zone).map_err(StartError::Setting)?;
        }
        let key = validate::topic(&config.default_topic);
        key.map_err(|error| StartError::Setting(format!("create_topic_key: {error}")))?;
        let trace_topic = validate::topic(&config.trace_topic)
            .and_then(|()| validate::not_of_the_broker(&config.trace_topic));
        trace_topic.map_err(|error| StartError::Setting(format!("trace_topic: {error}")))?;
        let positive = [
            ("max_pending messages", config.max_pending_messages),
            ("max_pending bytes", config.max_pending_bytes),
            ("max_message_size", config.max_message_size),
            ("default_topic_queues", config.default_topic_queues as usize),
            ("max_window", config.max_window),
            ("max_transaction_checks at once", config.checks_at_once),
        ];
        if let Some((name, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(StartError::Setting(format!("{name} must be at least 1")));
        }
        if config.max_pending_messages > tokio::sync::Semaphore::MAX_PERMITS
            || config.max_pending_bytes > u32::MAX as usize
        {
            return Err(StartError::Setting("max_pending is larger than 4 GiB".into()));
        }
        if config.linger.is_some() && !config.batching {
            return Err(StartError::Setting("linger has no effect without batching".into()));
        }
        if config.max_message_size > 15 * 1024 * 1024 {
            return Err(StartError::Setting("max_message_size is larger than 15 MiB".into()));
        }
        config.check_times().map_err(StartError::Setting)?;
        config.route_poll_interval = config.route_poll_interval.max(SHORTEST_POLL);
        Ok(config)
    }
}
