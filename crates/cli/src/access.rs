//! Who this program is to a cluster, and how its connections are encrypted.

use posthaste::{Credentials, Tls};

use crate::args::Global;
use crate::exit::Failure;

/// Where a secret may be that is in no file.
const SECRET: &str = "POSTHASTE_SECRET_KEY";

/// Access key and secret, if the flags name one. The secret never stands on the command line, which
/// everybody on the machine can read.
pub(crate) fn keys(global: &Global) -> Result<Option<(String, String)>, Failure> {
    let Some(access_key) = &global.access_key else {
        return match &global.secret_key_file {
            Some(_) => Err(Failure::usage("--secret-key-file needs --access-key")),
            None => Ok(None),
        };
    };
    let secret = match &global.secret_key_file {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?,
        None => std::env::var(SECRET).unwrap_or_default(),
    };
    // Editors end files with a newline.
    let secret = secret.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(Failure::usage("--access-key needs a secret")
            .help(format!("Put it in a file, for --secret-key-file, or into {SECRET}.")));
    }
    Ok(Some((access_key.clone(), secret.to_owned())))
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
