//! The flags of every command: which cluster, how to reach it, how to speak.

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgAction, ValueEnum};

use super::{Format, TlsMin, When};
use crate::value;

/// What every command takes.
///
/// Values stay the text that was written, once it is found valid: contexts and the environment
/// write the same values as text.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Flags {
    /// Name servers, separated by `;`
    ///
    /// Without this option: see --context for where else name servers may stand; by default
    /// 127.0.0.1:9876.
    #[arg(short = 'n', long, global = true, value_name = "HOST:PORT")]
    pub(crate) namesrv: Option<String>,

    /// Ask this HTTP server for the name servers: a host, host:port or URL
    #[arg(long, global = true, value_name = "URL", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) address_server: Option<String>,

    /// Use this context: a cluster kept by name
    ///
    /// `posthaste context add` keeps one in $XDG_CONFIG_HOME/posthaste/config.toml. Each value
    /// counts from the first of these places that has it: its own option; the context of --context;
    /// the environment variable of that value (POSTHASTE_NAMESRV, POSTHASTE_TLS_CA, and so on: the
    /// option's name in capitals); the context that POSTHASTE_CONTEXT names; the project file
    /// .posthaste.toml, in this directory or above it; the selected context (`posthaste context
    /// use`); NAMESRV_ADDR; the default. Only one context is used at a time. An empty variable
    /// counts as not set. `posthaste context show --why` says where each value comes from.
    #[arg(short = 'c', long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,

    /// Use no context and no project file
    #[arg(long, global = true)]
    pub(crate) no_context: bool,

    /// Format of the results on stdout [default: text]
    #[arg(short, long, global = true, value_name = "FORMAT")]
    pub(crate) output: Option<Format>,

    /// Print errors only: no receipts, no summary, no progress
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,

    /// Print more on stderr: each failed message and the library's warnings; -vv also what the
    /// library does, -vvv everything
    ///
    /// The environment variable POSTHASTE_LOG selects the library's log in more detail, in the
    /// syntax of tracing's EnvFilter: POSTHASTE_LOG=posthaste=debug. It overrides -v for the log.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,

    /// Deadline of each send and of each other request to the cluster [default: 3s]
    #[arg(long, global = true, value_name = "DURATION", value_parser = checked(value::duration))]
    pub(crate) timeout: Option<String>,

    /// Use colours on stderr [default: auto]
    #[arg(long, global = true, value_name = "WHEN")]
    pub(crate) color: Option<When>,

    /// Connect to TO where a broker advertises FROM (host or host:port; repeatable)
    #[arg(long, global = true, value_name = "FROM=TO", value_parser = checked(value::broker_map))]
    pub(crate) broker_map: Vec<String>,

    /// Connect to this host for every broker, in place of the host that it advertises
    #[arg(long, global = true, value_name = "HOST", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) broker_host: Option<String>,

    /// Connect to these brokers only: hosts (by name or address) and networks (10.1.0.0/16),
    /// separated by commas (repeatable)
    ///
    /// Without this option, the producer connects to every broker that the name server names, and
    /// sends it the access key (never the secret). The list must contain the addresses that
    /// --broker-map gives, not the advertised ones.
    #[arg(long, global = true, value_name = "HOST|NETWORK", value_delimiter = ',')]
    pub(crate) trusted_brokers: Vec<String>,

    /// Sign every request with this key, for clusters with access control
    ///
    /// The secret comes from --secret-key-file, from the environment variable POSTHASTE_SECRET_KEY,
    /// or from a context. It cannot be given on the command line, because other users of the machine
    /// can read that. Keys in a context or in the environment are used only with name servers from
    /// the same place.
    #[arg(long, global = true, value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) access_key: Option<String>,

    /// File with the secret of --access-key
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) secret_key_file: Option<String>,

    /// Encrypt connections; verify servers with the operating system's trust store
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) tls: Option<bool>,

    /// Encrypt connections; verify servers with the certificate authorities in this PEM file
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) tls_ca: Option<String>,

    /// Encrypt connections; show servers that ask the certificate in this PEM file
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) tls_client_cert: Option<String>,

    /// PEM file with the private key of --tls-client-cert, not encrypted
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) tls_client_key: Option<String>,

    /// Encrypt connections; every server's certificate must have this name, in place of the host
    /// that is connected to
    #[arg(long, global = true, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) tls_server_name: Option<String>,

    /// Encrypt connections; speak no version of TLS below this one [default: 1.2]
    #[arg(long, global = true, value_name = "VERSION")]
    pub(crate) tls_min: Option<TlsMin>,

    /// Encrypt connections, and verify no server: anyone on the way can read and change everything.
    /// For tests
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) dangerous_accept_any_certificate: Option<bool>,

    /// Namespace of topics and groups: on the wire they are called NAME%topic
    #[arg(long, global = true, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) namespace: Option<String>,

    /// Namespace of the second kind, in fields of each request, for servers that know them
    #[arg(long, global = true, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) namespace_v2: Option<String>,

    /// Reach all servers through this SOCKS5 proxy
    #[arg(long, global = true, value_name = "HOST:PORT", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) socks5: Option<String>,

    /// Log in to the SOCKS5 proxy as this user
    #[arg(long, global = true, value_name = "USER", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) socks5_user: Option<String>,

    /// File with the password of --socks5-user; else it comes from POSTHASTE_SOCKS5_PASSWORD
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) socks5_password_file: Option<String>,

    /// Connect to brokers at the port two below the one that they advertise (the VIP channel)
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) vip: Option<bool>,

    /// Unit that this client belongs to, in an installation of several units
    #[arg(long, global = true, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) unit: Option<String>,

    /// Name of this client in the brokers' listings, in place of a random one
    #[arg(long, global = true, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) instance_name: Option<String>,
}

impl Flags {
    /// What was written on the command line, by the names that values have in a context.
    pub(crate) fn given(&self) -> Vec<(&'static str, Vec<String>)> {
        let texts = [
            ("namesrv", &self.namesrv),
            ("address_server", &self.address_server),
            ("timeout", &self.timeout),
            ("broker_host", &self.broker_host),
            ("access_key", &self.access_key),
            ("secret_key_file", &self.secret_key_file),
            ("tls_ca", &self.tls_ca),
            ("tls_client_cert", &self.tls_client_cert),
            ("tls_client_key", &self.tls_client_key),
            ("tls_server_name", &self.tls_server_name),
            ("namespace", &self.namespace),
            ("namespace_v2", &self.namespace_v2),
            ("socks5", &self.socks5),
            ("socks5_user", &self.socks5_user),
            ("socks5_password_file", &self.socks5_password_file),
            ("unit", &self.unit),
            ("instance_name", &self.instance_name),
        ];
        let switches = [
            ("tls", self.tls),
            ("dangerous_accept_any_certificate", self.dangerous_accept_any_certificate),
            ("vip", self.vip),
        ];
        let words = [
            ("output", self.output.map(word)),
            ("color", self.color.map(word)),
            ("tls_min", self.tls_min.map(word)),
        ];
        let lists = [("broker_map", &self.broker_map), ("trusted_brokers", &self.trusted_brokers)];
        let texts = texts.into_iter().filter_map(|(name, text)| Some((name, text.clone()?)));
        let switches = switches.into_iter().filter_map(|(name, on)| Some((name, on?.to_string())));
        let words = words.into_iter().filter_map(|(name, word)| Some((name, word?)));
        let single = texts.chain(switches).chain(words).map(|(name, text)| (name, vec![text]));
        let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
        single.chain(lists.map(|(name, list)| (name, list.clone()))).collect()
    }
}

/// The text of a value that is one of a few words.
fn word(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|word| word.get_name().to_owned()).unwrap_or_default()
}

/// Takes a text that this function can read, as it is.
fn checked<T>(
    read: fn(&str) -> Result<T, String>,
) -> impl Fn(&str) -> Result<String, String> + Clone {
    move |text| read(text).map(|_| text.to_owned())
}
