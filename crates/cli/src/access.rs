//! Who this program is to a cluster, and how its connections are encrypted.

mod program;

use std::path::Path;

use posthaste::{Credentials, Socks5, Tls, TlsVersion};

use crate::args::{Global, Secret, TlsMin};
use crate::exit::Failure;
use crate::permissions;
use crate::stderr::Stderr;

/// Where the password of an inspector may be that is in no file.
const HTTP_PASSWORD: &str = "POSTHASTE_HTTP_PASSWORD";

/// Access key and secret, if there is a key. The secret never stands on the command line, which
/// everybody on the machine can read.
pub(crate) fn keys(global: &Global) -> Result<Option<(String, String)>, Failure> {
    let Some(access_key) = &global.access_key else {
        return match &global.secret {
            // In a context or in the environment, a secret may be for other programs.
            Some(Secret::File(_)) => Err(Failure::usage("--secret-key-file needs --access-key")),
            _ => Ok(None),
        };
    };
    let secret = match &global.secret {
        Some(secret) => read(global, secret)?,
        None => String::new(),
    };
    if secret.is_empty() {
        return Err(Failure::usage("--access-key needs a secret")
            .help("Put it in a file, for --secret-key-file, or into POSTHASTE_SECRET_KEY."));
    }
    Ok(Some((access_key.clone(), secret)))
}

/// The password of an inspector, if one was chosen: from this file, else from the environment.
pub(crate) fn http_password(
    global: &Global,
    file: Option<&Path>,
) -> Result<Option<String>, Failure> {
    let secret = match file {
        Some(path) => Secret::File(path.to_owned()),
        None => Secret::Text(std::env::var(HTTP_PASSWORD).unwrap_or_default()),
    };
    let password = read(global, &secret)?;
    match (password.is_empty(), file) {
        (true, Some(file)) => {
            Err(Failure::usage(format!("{}: there is no password in it", file.display())))
        }
        (true, None) => Ok(None),
        (false, _) => Ok(Some(password)),
    }
}

/// The same for a producer.
pub(crate) fn credentials(global: &Global) -> Result<Option<Credentials>, Failure> {
    let Some((access_key, secret)) = keys(global)? else { return Ok(None) };
    let credentials = Credentials::new(access_key, secret);
    Ok(Some(match &global.security_token {
        Some(token) => credentials.security_token(token),
        None => credentials,
    }))
}

/// A secret, wherever it is.
fn read(global: &Global, secret: &Secret) -> Result<String, Failure> {
    let text = match secret {
        Secret::Text(text) => text.clone(),
        Secret::File(path) => read_file(global, path)?,
        Secret::Command(words) => program::output(words, program::LIMIT)?,
    };
    // Editors end files with a newline, and programs their output.
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

/// A file that only its user should read, and that no one else may write.
fn read_file(global: &Global, path: &Path) -> Result<String, Failure> {
    let shown = path.display();
    if let Some(mode) = permissions::others_can_write(path) {
        return Err(Failure::usage(format!(
            "others can write the secret in {shown} (mode {mode:03o}), and so choose who signs"
        ))
        .help(format!("See that it is yours, then:  chmod 600 {shown}")));
    }
    if let Some(mode) = permissions::others_can_read(path) {
        Stderr::new(global).warning(&format!(
            "others can read the secret in {shown} (mode {mode:03o}): chmod 600 {shown}"
        ));
    }
    std::fs::read_to_string(path).map_err(|error| Failure::usage(format!("{shown}: {error}")))
}

/// TLS as the settings want it.
pub(crate) fn tls(global: &Global) -> Result<Option<Tls>, Failure> {
    let Some(settings) = &global.tls else { return Ok(None) };
    let mut tls = Tls::new().least_version(match settings.min {
        TlsMin::V1_2 => TlsVersion::V1_2,
        TlsMin::V1_3 => TlsVersion::V1_3,
    });
    if let Some(path) = &settings.ca {
        tls = tls.ca_file(path);
    }
    if let Some((certificate, key)) = &settings.client {
        tls = tls.client_certificate(read_pem(certificate)?, read_key(global, key)?);
    }
    if let Some(name) = &settings.server_name {
        tls = tls.server_name(name);
    }
    if settings.accept_any {
        Stderr::new(global).warning(
            "any certificate is accepted: anyone on the way can read and change everything",
        );
        tls = tls.dangerous_accept_any_certificate();
    }
    Ok(Some(tls))
}

fn read_key(global: &Global, path: &Path) -> Result<String, Failure> {
    let key = read_file(global, path)?;
    if key.contains("BEGIN ENCRYPTED PRIVATE KEY") {
        let path = path.display();
        return Err(Failure::usage(format!("the client key in {path} is encrypted"))
            .help("Decrypt it into a file that only you can read:")
            .help(format!("openssl pkcs8 -in {path} -out KEY-FILE")));
    }
    Ok(key)
}

fn read_pem(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| {
        Failure::usage(format!("client certificate file {}: {error}", path.display()))
    })
}

/// The proxy, if there is one.
pub(crate) fn socks5(global: &Global) -> Result<Option<Socks5>, Failure> {
    let Some(socks) = &global.socks5 else { return Ok(None) };
    let proxy = Socks5::new(&socks.address);
    Ok(Some(match &socks.login {
        Some((user, password)) => proxy.login(user, read(global, password)?),
        None => proxy,
    }))
}
