//! Who a client is to brokers: `ip@instance`, and `@unit` where clusters have units (Java:
//! `ClientConfig.buildMQClientId`).

use std::net::IpAddr;

use crate::message::unique_id::own_ip;

#[derive(Debug, Clone, Default)]
pub(crate) struct Identity {
    /// The address that it is known by, if it is not the address of this host.
    pub(crate) ip: Option<IpAddr>,
    /// `None`: a unique one.
    pub(crate) instance_name: Option<String>,
    pub(crate) unit_name: Option<String>,
    /// Whether messages are marked as being of a unit.
    pub(crate) unit_mode: bool,
}

impl Identity {
    pub(crate) fn ip(&self) -> IpAddr {
        self.ip.unwrap_or_else(own_ip)
    }

    /// The client id, with a new unique part each time unless an instance name is set.
    pub(crate) fn client_id(&self, ip: IpAddr) -> String {
        let ip = if ip.is_ipv6() { format!("[{ip}]") } else { ip.to_string() };
        let instance = self.instance_name.clone();
        let instance =
            instance.unwrap_or_else(|| format!("{}#{:08x}", std::process::id(), fastrand::u32(..)));
        match &self.unit_name {
            Some(unit) => format!("{ip}@{instance}@{unit}"),
            None => format!("{ip}@{instance}"),
        }
    }

    /// Says what is wrong with it, if anything is.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.instance_name.as_ref().is_some_and(|name| name.trim().is_empty()) {
            return Err("the instance name is empty".into());
        }
        // It becomes a part of a URL, too.
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        match self.unit_name.as_deref() {
            Some(unit) if unit.is_empty() || !unit.bytes().all(is_plain) => {
                Err(format!("the unit name `{unit}` is not one of A-Z a-z 0-9 _ - ."))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn a_client_id_is_made_as_in_java() {
        let mut identity = Identity { instance_name: Some("i".into()), ..Identity::default() };
        assert_eq!(identity.client_id(Ipv4Addr::new(10, 0, 0, 1).into()), "10.0.0.1@i");
        assert_eq!(identity.client_id(Ipv6Addr::LOCALHOST.into()), "[::1]@i");
        identity.unit_name = Some("east".into());
        assert_eq!(identity.client_id(Ipv4Addr::LOCALHOST.into()), "127.0.0.1@i@east");
    }

    #[test]
    fn without_an_instance_name_each_client_is_another() {
        let identity = Identity::default();
        let ids = [0; 2].map(|_| identity.client_id(identity.ip()));
        assert!(ids[0].contains(&format!("@{}#", std::process::id())), "{ids:?}");
        assert_ne!(ids[0], ids[1]);
    }

    #[test]
    fn names_that_would_break_ids_or_urls_are_refused() {
        let of = |instance: Option<&str>, unit: Option<&str>| Identity {
            instance_name: instance.map(str::to_owned),
            unit_name: unit.map(str::to_owned),
            ..Identity::default()
        };
        assert_eq!(of(Some("any name"), Some("unit-1_a.b")).check(), Ok(()));
        for bad in [of(Some(" "), None), of(None, Some("")), of(None, Some("a b?c"))] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
