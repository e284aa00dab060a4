//! The values that a context may have: their names, and where else they may be written.

/// A value, by the name that it has in a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// As users write it on the command line.
    pub(crate) flag: Option<&'static str>,
    /// Whether project files may have it.
    pub(crate) in_projects: bool,
    /// Whether it is never shown.
    pub(crate) is_secret: bool,
}

/// How a value is written in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Number,
    Switch,
    List,
    File,
    /// A program and its arguments.
    Command,
}

impl Key {
    const fn new(name: &'static str, kind: Kind, flag: Option<&'static str>) -> Self {
        Self { name, kind, flag, in_projects: false, is_secret: false }
    }

    const fn secret(name: &'static str) -> Self {
        Self { is_secret: true, ..Self::new(name, Kind::Text, None) }
    }

    const fn also_in_projects(self) -> Self {
        Self { in_projects: true, ..self }
    }

    /// The environment variable that has it; programs are named in the user's own file alone.
    pub(crate) fn variable(&self) -> Option<String> {
        (self.kind != Kind::Command)
            .then(|| format!("POSTHASTE_{}", self.name.to_ascii_uppercase()))
    }

    /// Whether it says which cluster is meant, or how it is reached.
    pub(crate) fn is_of_the_cluster(&self) -> bool {
        !matches!(self.name, "output" | "color" | "timeout" | "topic_queues")
    }
}

/// Every value.
pub(crate) const KEYS: &[Key] = &[
    Key::new("namesrv", Kind::Text, Some("-n/--namesrv")).also_in_projects(),
    Key::new("address_server", Kind::Text, Some("--address-server")),
    Key::new("access_key", Kind::Text, Some("--access-key")),
    Key::new("secret_key_file", Kind::File, Some("--secret-key-file")),
    Key::secret("secret_key"),
    Key::new("secret_command", Kind::Command, None),
    Key::secret("security_token"),
    Key::new("tls", Kind::Switch, Some("--tls")),
    Key::new("tls_ca", Kind::File, Some("--tls-ca")),
    Key::new("tls_client_cert", Kind::File, Some("--tls-client-cert")),
    Key::new("tls_client_key", Kind::File, Some("--tls-client-key")),
    Key::new("tls_server_name", Kind::Text, Some("--tls-server-name")),
    Key::new("tls_min", Kind::Text, Some("--tls-min")),
    Key::new(
        "dangerous_accept_any_certificate",
        Kind::Switch,
        Some("--dangerous-accept-any-certificate"),
    ),
    Key::new("namespace", Kind::Text, Some("--namespace")),
    Key::new("namespace_v2", Kind::Text, Some("--namespace-v2")),
    Key::new("socks5", Kind::Text, Some("--socks5")),
    Key::new("socks5_user", Kind::Text, Some("--socks5-user")),
    Key::new("socks5_password_file", Kind::File, Some("--socks5-password-file")),
    Key::secret("socks5_password"),
    Key::new("broker_map", Kind::List, Some("--broker-map")),
    Key::new("broker_host", Kind::Text, Some("--broker-host")),
    Key::new("trusted_brokers", Kind::List, Some("--trusted-brokers")),
    Key::new("vip", Kind::Switch, Some("--vip")),
    Key::new("unit", Kind::Text, Some("--unit")),
    Key::new("instance_name", Kind::Text, Some("--instance-name")),
    Key::new("timeout", Kind::Text, Some("--timeout")),
    Key::new("output", Kind::Text, Some("-o/--output")).also_in_projects(),
    Key::new("color", Kind::Text, Some("--color")).also_in_projects(),
    Key::new("topic_queues", Kind::Number, None).also_in_projects(),
];

/// Values of which a place has one or the other.
pub(crate) const ALTERNATIVES: &[&[&str]] = &[
    &["namesrv", "address_server"],
    &["secret_key_file", "secret_key", "secret_command"],
    &["socks5_password_file", "socks5_password"],
];

/// The value of this name.
pub(crate) fn key(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// This name, and the names that stand for the same thing.
pub(crate) fn group(name: &'static str) -> Vec<&'static str> {
    let group = ALTERNATIVES.iter().find(|group| group.contains(&name));
    group.map_or_else(|| vec![name], |group| group.to_vec())
}
