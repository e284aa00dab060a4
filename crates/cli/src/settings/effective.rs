//! What a command goes by, made of the values that count.

use std::path::PathBuf;
use std::time::Duration;

use super::find;
use super::key::{KEYS, group};
use super::source::{Layer, Source, Values};
use crate::args::{Flags, Global, Secret, Servers, Socks, TlsSettings};
use crate::exit::Failure;
use crate::value;

const TIMEOUT: Duration = Duration::from_secs(3);
/// Queues of a topic, where nothing says how many.
const QUEUES: u32 = 8;

/// Reads every value.
pub(super) fn global(layers: &[Layer], flags: &Flags) -> Result<Global, Failure> {
    let values = Effective(layers);
    Ok(Global {
        output: values.one("output", value::word)?.unwrap_or_default(),
        quiet: flags.quiet,
        verbose: flags.verbose,
        timeout: values.one("timeout", value::duration)?.unwrap_or(TIMEOUT),
        color: values.one("color", value::word)?.unwrap_or_default(),
        cluster_flags: cluster_flags(layers, flags),
        servers: values.servers()?,
        context: values.find("namesrv").and_then(|(_, _, from)| from.context()).map(str::to_owned),
        broker_map: values.list("broker_map", value::broker_map)?,
        broker_host: values.text("broker_host")?,
        trusted_brokers: values.list("trusted_brokers", text)?,
        access_key: values.text("access_key")?,
        secret: values.secret("secret_key_file"),
        security_token: values.text("security_token")?,
        tls: values.tls()?,
        namespace: values.text("namespace")?,
        namespace_v2: values.text("namespace_v2")?,
        socks5: values.socks5()?,
        vip: values.one("vip", value::switch)?.unwrap_or_default(),
        unit: values.text("unit")?,
        instance_name: values.text("instance_name")?,
        topic_queues: values.one("topic_queues", value::queues)?.unwrap_or(QUEUES),
    })
}

/// Says what is wrong with the values of a context.
pub(super) fn check_context(values: &Values) -> Result<(), Failure> {
    let layer = Layer { source: Source::Default, values: values.clone() };
    global(&[layer], &Flags::default()).map(drop)
}

/// Keys of one place are not used with the name servers of another: their author would
/// learn who signs, and get what is signed.
pub(super) fn check_credentials(layers: &[Layer]) -> Result<(), Failure> {
    let values = Effective(layers);
    let servers = values.find("namesrv");
    let (servers_name, servers_from) =
        servers.map_or(("namesrv", &Source::Default), |(name, _, from)| (name, from));
    let access_key = values.find("access_key");
    for name in ["access_key", "secret_key", "security_token", "tls_client_key"] {
        let Some((name, _, from)) = values.find(name) else { continue };
        let is_of_access_key =
            matches!(name, "security_token") || group("secret_key").contains(&name);
        let key_is_flag = matches!(access_key, Some((_, _, Source::Flags)));
        // A secret cannot stand on the command line: it follows its access key.
        let is_explicit = *from == Source::Flags
            || (is_of_access_key && key_is_flag && *from == Source::Environment);
        let is_unused = is_of_access_key && access_key.is_none();
        if is_unused || is_explicit || from.is_one_place_with(servers_from) {
            continue;
        }
        let (key, servers) = (from.of(name), servers_from.of(servers_name));
        return Err(Failure::usage(format!(
            "{name} is from {key}, but the name servers are from {servers}: they may not belong \
             together"
        ))
        .help("Give both in one place, or name the context with -c. `posthaste context show --why` lists all values."));
    }
    Ok(())
}

/// Flags that say which cluster is meant, as users write them.
fn cluster_flags(layers: &[Layer], flags: &Flags) -> Vec<&'static str> {
    let context = flags.context.as_ref().map(|_| "-c/--context");
    let flags = layers.iter().find(|layer| layer.source == Source::Flags);
    let given = KEYS.iter().filter(|key| {
        key.is_of_the_cluster() && flags.is_some_and(|flags| flags.values.contains_key(key.name))
    });
    context.into_iter().chain(given.filter_map(|key| key.flag)).collect()
}

fn text(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

/// The values that count.
struct Effective<'a>(&'a [Layer]);

impl<'a> Effective<'a> {
    /// A value, or one that says the same thing, with its place.
    fn find(&self, name: &'static str) -> Option<(&'static str, &'a [String], &'a Source)> {
        find(self.0, &group(name))
    }

    fn list<T>(
        &self,
        name: &'static str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Vec<T>, Failure> {
        let Some((_, values, from)) = find(self.0, &[name]) else { return Ok(Vec::new()) };
        let read = |text: &String| {
            read(text)
                .map_err(|why| Failure::usage(format!("{name} from {}: {why}", from.of(name))))
        };
        values.iter().map(read).collect()
    }

    fn one<T>(
        &self,
        name: &'static str,
        read: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Failure> {
        Ok(self.list(name, read)?.into_iter().next())
    }

    fn text(&self, name: &'static str) -> Result<Option<String>, Failure> {
        self.one(name, text)
    }

    fn file(&self, name: &'static str) -> Result<Option<PathBuf>, Failure> {
        Ok(self.text(name)?.map(PathBuf::from))
    }

    fn servers(&self) -> Result<Servers, Failure> {
        let Some((name, values, from)) = self.find("namesrv") else {
            return Ok(Servers::default());
        };
        let text = values.first().map(String::as_str).unwrap_or_default();
        if name == "address_server" {
            return Ok(Servers::AddressServer(text.to_owned()));
        }
        value::name_servers(text)
            .map(Servers::List)
            .map_err(|why| Failure::usage(format!("name servers from {}: {why}", from.of(name))))
    }

    /// A secret of any form.
    fn secret(&self, name: &'static str) -> Option<Secret> {
        let (name, values, _) = self.find(name)?;
        let first = || values.first().cloned().unwrap_or_default();
        Some(match name {
            "secret_command" => Secret::Command(values.to_vec()),
            "secret_key_file" | "socks5_password_file" => Secret::File(first().into()),
            _ => Secret::Text(first()),
        })
    }

    fn tls(&self) -> Result<Option<TlsSettings>, Failure> {
        const WITH_IT: [&str; 6] = [
            "tls_ca",
            "tls_client_cert",
            "tls_client_key",
            "tls_server_name",
            "tls_min",
            "dangerous_accept_any_certificate",
        ];
        let accept_any =
            self.one("dangerous_accept_any_certificate", value::switch)?.unwrap_or_default();
        let strength = |name| self.0.iter().position(|layer| layer.values.contains_key(name));
        let is_wanted = |name: &&str| accept_any || *name != "dangerous_accept_any_certificate";
        let strongest = WITH_IT
            .into_iter()
            .filter(is_wanted)
            .filter_map(|name| Some((strength(name)?, name)))
            .min();
        match (self.one("tls", value::switch)?, strongest) {
            (Some(false), Some((rank, name))) if Some(rank) <= strength("tls") => {
                return Err(Failure::usage(format!("tls is off, and {name} is set"))
                    .help("Leave one of the two out."));
            }
            (Some(false), _) | (None, None) => return Ok(None),
            (Some(true), _) | (None, Some(_)) => {}
        }
        let client = match (self.file("tls_client_cert")?, self.file("tls_client_key")?) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) => {
                return Err(Failure::usage("tls_client_cert needs tls_client_key")
                    .help("Give its private key with --tls-client-key FILE."));
            }
            (None, Some(_)) => {
                return Err(Failure::usage("tls_client_key needs tls_client_cert")
                    .help("Give its certificate with --tls-client-cert FILE."));
            }
        };
        Ok(Some(TlsSettings {
            ca: self.file("tls_ca")?,
            client,
            server_name: self.text("tls_server_name")?,
            min: self.one("tls_min", value::word)?.unwrap_or_default(),
            accept_any,
        }))
    }

    fn socks5(&self) -> Result<Option<Socks>, Failure> {
        let password = self.secret("socks5_password_file");
        let login = match (self.text("socks5_user")?, password) {
            (Some(user), Some(password)) => Some((user, password)),
            (Some(_), None) => {
                return Err(Failure::usage("socks5_user needs a password").help(
                    "Put it in a file, for --socks5-password-file, or into POSTHASTE_SOCKS5_PASSWORD.",
                ));
            }
            (None, _) => None,
        };
        match (self.text("socks5")?, login) {
            (Some(address), login) => Ok(Some(Socks { address, login })),
            (None, Some(_)) => Err(Failure::usage("socks5_user needs socks5")
                .help("Name the proxy with --socks5 HOST:PORT.")),
            (None, None) => Ok(None),
        }
    }
}
