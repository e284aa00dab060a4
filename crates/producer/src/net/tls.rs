//! Encrypted connections: whom to trust, and which certificate to show to servers that ask (TLS 1.2 and 1.3).

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::client::{WantsClientCert, WebPkiServerVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    self, AlertDescription, ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore,
    SignatureScheme, SupportedProtocolVersion, version,
};

use crate::net::address;

/// How connections are encrypted: settings for
/// [`ProducerBuilder::tls`](crate::ProducerBuilder::tls).
///
/// By default a server's certificate must lead to one of the operating system's roots, be valid
/// now, and name the host of the connection: the host in the list of name servers, or the host that
/// a broker advertises, after the [address map](crate::ProducerBuilder::address_map).
///
/// Files are read when the producer starts, and not again: to use a new certificate, start a new
/// producer.
#[derive(Clone, Default)]
pub struct Tls {
    authorities: Vec<Pem>,
    client: Option<(Pem, Pem)>,
    /// What the client's key is encrypted with.
    #[cfg(feature = "encrypted-keys")]
    key_password: Option<String>,
    server_name: Option<String>,
    accepts_any: bool,
    least: TlsVersion,
}

const ONLY_1_3: &[&SupportedProtocolVersion] = &[&version::TLS13];

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2, of 2008.
    #[default]
    V1_2,
    /// TLS 1.3, of 2018.
    V1_3,
}

/// Certificates or a key as text.
#[derive(Clone)]
enum Pem {
    Text(Vec<u8>),
    File(PathBuf),
}

impl Tls {
    /// TLS that uses the operating system's trust store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the certificate authorities in this PEM file, in place of the operating system's.
    /// Given several times, the authorities of all files are trusted.
    #[must_use]
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.authorities.push(Pem::File(path.into()));
        self
    }

    /// As [`ca_file`](Self::ca_file), with the text itself.
    #[must_use]
    pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authorities.push(Pem::Text(pem.into()));
        self
    }

    /// The client's certificate, for servers that ask for one, followed by the certificates that
    /// lead to its root, and its key (PKCS#8, PKCS#1 or SEC1). Both are PEM. Default: none.
    ///
    /// A key that is encrypted needs `client_key_password` (feature `encrypted-keys`).
    #[must_use]
    pub fn client_certificate(
        mut self,
        certificate_pem: impl Into<Vec<u8>>,
        key_pem: impl Into<Vec<u8>>,
    ) -> Self {
        self.client = Some((Pem::Text(certificate_pem.into()), Pem::Text(key_pem.into())));
        self
    }

    /// The password of the key of [`client_certificate`](Self::client_certificate), when that is
    /// encrypted (Java: `tls.client.keyPassword`). Such a key is a PKCS#8 one that begins with
    /// `-----BEGIN ENCRYPTED PRIVATE KEY-----`, as `openssl pkcs8 -topk8` and `openssl genpkey` make
    /// it; older forms are converted with the former. Default: none.
    #[cfg(feature = "encrypted-keys")]
    #[must_use]
    pub fn client_key_password(mut self, password: impl Into<String>) -> Self {
        self.key_password = Some(password.into());
        self
    }

    /// The lowest version that is spoken. With a server that speaks only lower versions, sends end
    /// as [`ErrorKind::Tls`](crate::ErrorKind::Tls). Default: TLS 1.2; older versions are never
    /// spoken.
    #[must_use]
    pub fn least_version(mut self, version: TlsVersion) -> Self {
        self.least = version;
        self
    }

    /// The name that every server's certificate must have, in place of the host of the connection.
    /// Brokers mostly advertise addresses, and certificates mostly have names: then give all
    /// servers a certificate for one name, and that name here.
    #[must_use]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Accepts any certificate that a server shows, even the self-signed one that RocketMQ makes up
    /// when none is configured (`tls.test.mode.enable`). Anyone on the way can then pose as the
    /// server, and read, change and answer everything. For tests.
    #[must_use]
    pub fn dangerous_accept_any_certificate(mut self) -> Self {
        self.accepts_any = true;
        self
    }

    /// Reads what the settings name.
    ///
    /// # Errors
    /// What is wrong with which of them.
    pub(crate) fn connector(&self) -> Result<Connector, String> {
        let provider = Arc::new(ring::default_provider());
        let versions = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(self.versions())
            .map_err(|error| error.to_string())?;
        let trusting = if self.accepts_any {
            let verifier = Arc::new(AnyCertificate(provider));
            versions.dangerous().with_custom_certificate_verifier(verifier)
        } else if self.authorities.is_empty() {
            let trusting = versions.with_platform_verifier();
            trusting.map_err(|error| format!("the operating system's roots: {error}"))?
        } else {
            let verifier =
                WebPkiServerVerifier::builder_with_provider(Arc::new(self.roots()?), provider);
            let verifier = verifier.build().map_err(|error| format!("CA: {error}"))?;
            versions.with_webpki_verifier(verifier)
        };
        let server_name = self.server_name.clone().map(|name| {
            let wrong = format!("server name `{name}` is neither a host name nor an address");
            ServerName::try_from(name).map_err(|_| wrong)
        });
        Ok(Connector {
            connector: TlsConnector::from(Arc::new(self.introduce(trusting)?)),
            server_name: server_name.transpose()?,
        })
    }

    fn versions(&self) -> &'static [&'static SupportedProtocolVersion] {
        match self.least {
            TlsVersion::V1_2 => rustls::ALL_VERSIONS,
            TlsVersion::V1_3 => ONLY_1_3,
        }
    }

    #[cfg(feature = "encrypted-keys")]
    fn key_password(&self) -> Option<&str> {
        self.key_password.as_deref()
    }

    #[cfg(not(feature = "encrypted-keys"))]
    #[allow(clippy::unused_self)]
    fn key_password(&self) -> Option<&str> {
        None
    }

    fn roots(&self) -> Result<RootCertStore, String> {
        let mut roots = RootCertStore::empty();
        for pem in &self.authorities {
            for certificate in pem.certificates("CA")? {
                let added = roots.add(certificate);
                added.map_err(|error| format!("{}: {error}", pem.name("CA")))?;
            }
        }
        Ok(roots)
    }

    fn introduce(
        &self,
        trusting: ConfigBuilder<ClientConfig, WantsClientCert>,
    ) -> Result<ClientConfig, String> {
        let Some((certificate, key)) = &self.client else {
            return Ok(trusting.with_no_client_auth());
        };
        let chain = certificate.certificates("client certificate")?;
        let key = key.key("client key", self.key_password())?;
        let config = trusting.with_client_auth_cert(chain, key);
        config.map_err(|error| format!("client certificate and key: {error}"))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("own_authorities", &self.authorities.len())
            .field("client_certificate", &self.client.is_some())
            .field("server_name", &self.server_name)
            .field("least_version", &self.least)
            .field("accepts_any_certificate", &self.accepts_any)
            .finish()
    }
}

impl Pem {
    fn name(&self, what: &str) -> String {
        match self {
            Self::Text(_) => format!("{what} PEM"),
            Self::File(path) => format!("{what} file {}", path.display()),
        }
    }

    fn read(&self, what: &str) -> Result<Vec<u8>, String> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::File(path) => {
                std::fs::read(path).map_err(|error| format!("{}: {error}", self.name(what)))
            }
        }
    }

    fn certificates(&self, what: &str) -> Result<Vec<CertificateDer<'static>>, String> {
        let text = self.read(what)?;
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        let found = found.map_err(|error| format!("{}: {error}", self.name(what)))?;
        match found.is_empty() {
            true => Err(format!("{}: there is no certificate in it", self.name(what))),
            false => Ok(found),
        }
    }

    fn key(&self, what: &str, password: Option<&str>) -> Result<PrivateKeyDer<'static>, String> {
        let text = self.read(what)?;
        if let Some(encrypted) = encrypted_key(&text) {
            let decrypted = decrypt(encrypted, password);
            return decrypted.map_err(|why| format!("{}: {why}", self.name(what)));
        }
        let wrong = |_| format!("{}: there is no private key in it", self.name(what));
        PrivateKeyDer::from_pem_slice(&text).map_err(wrong)
    }
}

/// The part of a PEM that is an encrypted key, if there is one.
fn encrypted_key(pem: &[u8]) -> Option<&str> {
    const BEGIN: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
    const END: &str = "-----END ENCRYPTED PRIVATE KEY-----";
    let text = std::str::from_utf8(pem).ok()?;
    let text = text.get(text.find(BEGIN)?..)?;
    text.get(..text.find(END)? + END.len())
}

#[cfg(feature = "encrypted-keys")]
fn decrypt(pem: &str, password: Option<&str>) -> Result<PrivateKeyDer<'static>, String> {
    use pkcs8::{EncryptedPrivateKeyInfoRef, SecretDocument};

    let password = password
        .ok_or("the key is encrypted: give its password with `Tls::client_key_password`")?;
    let (_, document) = SecretDocument::from_pem(pem).map_err(|error| error.to_string())?;
    let encrypted = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes());
    let encrypted = encrypted.map_err(|error| format!("the encrypted key: {error}"))?;
    let key = encrypted.decrypt(password).map_err(|error| {
        format!("the key cannot be decrypted; is its password right? ({error})")
    })?;
    Ok(PrivateKeyDer::Pkcs8(key.as_bytes().to_vec().into()))
}

#[cfg(not(feature = "encrypted-keys"))]
fn decrypt(_: &str, _: Option<&str>) -> Result<PrivateKeyDer<'static>, String> {
    Err("the key is encrypted, which the feature `encrypted-keys` can read".into())
}

/// What connections are encrypted with, ready for use.
#[derive(Clone)]
pub(crate) struct Connector {
    connector: TlsConnector,
    server_name: Option<ServerName<'static>>,
}

impl Connector {
    /// Turns a connection to `host:port` into an encrypted one.
    pub(crate) async fn shake_hands(
        &self,
        address: &str,
        stream: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => host_of(address)?,
        };
        self.connector.connect(name, stream).await
    }
}

/// The host of `host:port`, as certificates name it.
fn host_of(address: &str) -> io::Result<ServerName<'static>> {
    let host = address::host(address);
    ServerName::try_from(host.to_owned()).map_err(|_| {
        let wrong = format!("`{host}` is not a name that a certificate can have");
        io::Error::other(rustls::Error::General(wrong))
    })
}

/// Whether it is TLS itself that failed, as with a certificate that is not trusted, and not the
/// connection below: trying again soon will end the same way.
pub(crate) fn is_for_good(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|cause| cause.is::<rustls::Error>())
}

/// Whether the peer refuses our certificate, or that we have none.
///
/// With TLS 1.3 that is said after our side of the handshake has ended. The peer's has not: until
/// it has, it reads nothing of what was sent.
pub(crate) fn refuses_us(error: &io::Error) -> bool {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::AlertReceived(alert)) = cause else { return false };
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::CertificateRequired
    )
}

/// Takes every certificate, but still demands that the peer has its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_named_as_in_certificates() {
        for (address, expected) in [
            ("mq.example.org:9876", "mq.example.org"),
            ("10.0.0.7:10911", "10.0.0.7"),
            ("[::1]:10911", "::1"),
        ] {
            assert_eq!(host_of(address).unwrap().to_str(), expected);
        }
        assert!(is_for_good(&host_of("no name:1").unwrap_err()));
    }

    #[test]
    fn wrong_settings_are_told_at_the_start() {
        let missing = Tls::new().ca_file("/nowhere/ca.pem");
        let empty = Tls::new().ca_pem("no PEM at all");
        let key = Tls::new().ca_pem("").client_certificate("x", "y");
        let name = Tls::new().dangerous_accept_any_certificate().server_name("not a name");
        let no_key = Tls::new().dangerous_accept_any_certificate().client_certificate("x", "y");
        for (tls, expected) in [
            (missing, "CA file /nowhere/ca.pem: No such file"),
            (empty, "CA PEM: there is no certificate in it"),
            (key, "CA PEM: there is no certificate in it"),
            (name, "server name `not a name` is neither"),
            (no_key, "client certificate PEM: there is no certificate in it"),
        ] {
            let error = tls.connector().map(|_| ()).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    const CERTIFICATE: &str = include_str!("../../tests/pki/keys/client.pem");
    const AES: &str = include_str!("../../tests/pki/keys/aes.pem");

    fn shows(key: &str) -> Tls {
        Tls::new().dangerous_accept_any_certificate().client_certificate(CERTIFICATE, key)
    }

    /// Made by `openssl pkcs8 -topk8`, with the password `hush`.
    #[cfg(feature = "encrypted-keys")]
    #[test]
    fn an_encrypted_key_is_read_with_its_password() {
        let keys = [
            AES,
            include_str!("../../tests/pki/keys/aes-sha1.pem"),
            include_str!("../../tests/pki/keys/des3.pem"),
            include_str!("../../tests/pki/keys/scrypt.pem"),
        ];
        for key in keys {
            // That certificate and key belong together is looked at.
            shows(key).client_key_password("hush").connector().map(|_| ()).unwrap();
            let wrong = shows(key).client_key_password("hash").connector().map(|_| ());
            assert!(wrong.unwrap_err().contains("is its password right"));
            let missing = shows(key).connector().map(|_| ()).unwrap_err();
            assert!(missing.contains("client_key_password"), "{missing}");
        }
    }

    #[cfg(not(feature = "encrypted-keys"))]
    #[test]
    fn an_encrypted_key_says_what_can_read_it() {
        let error = shows(AES).connector().map(|_| ()).unwrap_err();
        assert!(error.contains("`encrypted-keys`"), "{error}");
    }
}
