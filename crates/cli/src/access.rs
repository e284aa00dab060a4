//! Who this program is to a cluster, and how its connections are encrypted.

use std::path::Path;

use posthaste::{Credentials, Tls};

use crate::args::Global;
use crate::exit::Failure;
use crate::stderr::Stderr;

/// Where a secret may be that is in no file.
const SECRET: &str = "POSTHASTE_SECRET_KEY";
/// The same of the password of an inspector.
const HTTP_PASSWORD: &str = "POSTHASTE_HTTP_PASSWORD";

/// Access key and secret, if the flags name one. The secret never stands on the command line, which
/// everybody on the machine can read.
pub(crate) fn keys(global: &Global) -> Result<Option<(String, String)>, Failure> {
    let Some(access_key) = &global.access_key else {
        return match &global.secret_key_file {
            Some(_) => Err(Failure::usage("--secret-key-file needs --access-key")),
            None => Ok(None),
        };
    };
    let secret = secret(global, global.secret_key_file.as_deref(), SECRET)?;
    if secret.is_empty() {
        return Err(Failure::usage("--access-key needs a secret")
            .help(format!("Put it in a file, for --secret-key-file, or into {SECRET}.")));
    }
    Ok(Some((access_key.clone(), secret)))
}

/// The password of an inspector, if one was chosen: from this file, else from the environment.
pub(crate) fn http_password(
    global: &Global,
    file: Option<&Path>,
) -> Result<Option<String>, Failure> {
    let password = secret(global, file, HTTP_PASSWORD)?;
    match (password.is_empty(), file) {
        (true, Some(file)) => {
            Err(Failure::usage(format!("{}: there is no password in it", file.display())))
        }
        (true, None) => Ok(None),
        (false, _) => Ok(Some(password)),
    }
}

/// What a file has, else this variable of the environment; nothing, where neither has anything.
fn secret(global: &Global, file: Option<&Path>, variable: &str) -> Result<String, Failure> {
    let secret = match file {
        Some(path) => {
            if let Some(warning) = others_can_read(path) {
                Stderr::new(global).warning(&warning);
            }
            std::fs::read_to_string(path)
                .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?
        }
        None => std::env::var(variable).unwrap_or_default(),
    };
    // Editors end files with a newline.
    Ok(secret.trim_end_matches(['\r', '\n']).to_owned())
}

/// What to say of a secret that other users of the machine can read.
#[cfg(unix)]
fn others_can_read(path: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o044 != 0).then(|| {
        let path = path.display();
        format!("others can read the secret in {path} (mode {mode:03o}): chmod 600 {path}")
    })
}

#[cfg(not(unix))]
fn others_can_read(_: &Path) -> Option<String> {
    None
}

/// The same for a producer.
pub(crate) fn credentials(global: &Global) -> Result<Option<Credentials>, Failure> {
    Ok(keys(global)?.map(|(access_key, secret)| Credentials::new(access_key, secret)))
}

/// TLS as the flags want it.
pub(crate) fn tls(global: &Global) -> Option<Tls> {
    match &global.tls_ca {
        Some(path) => Some(Tls::new().ca_file(path)),
        None => global.tls.then(Tls::new),
    }
}
