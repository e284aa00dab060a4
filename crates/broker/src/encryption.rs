//! Encrypted connections, beside plain ones or instead of them (Java: `tls.server.mode`).

use std::fmt;
use std::io;
use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

/// The first byte of every TLS connection, and of no frame that is short enough.
const HANDSHAKE: u8 = 0x16;

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub(crate) struct Certificate {
    pub(crate) chain: Vec<u8>,
    pub(crate) key: Vec<u8>,
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").finish_non_exhaustive()
    }
}

/// How connections are encrypted.
#[derive(Clone)]
pub(crate) struct Encryption {
    acceptor: TlsAcceptor,
    /// Whether plain connections are closed.
    only: bool,
}

/// A connection whose first bytes have shown what it is.
pub(crate) enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Encryption {
    /// # Errors
    /// What is wrong with the certificate or the key.
    pub(crate) fn new(certificate: &Certificate, only: bool) -> Result<Self, String> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&certificate.chain).collect();
        let chain = chain.map_err(|error| format!("TLS certificate: {error}"))?;
        if chain.is_empty() {
            return Err("TLS certificate: there is none in the PEM".to_owned());
        }
        let key = PrivateKeyDer::from_pem_slice(&certificate.key)
            .map_err(|_| "TLS key: there is no unencrypted private key in the PEM".to_owned())?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| format!("TLS certificate and key: {error}"))?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), only })
    }

    /// Awaits the first byte, and shakes hands if it begins an encrypted connection.
    pub(crate) async fn accept(&self, socket: TcpStream) -> io::Result<Wire> {
        let mut first = [0];
        // A peer that closes at once begins with nothing; that shows again when it is read.
        let length = socket.peek(&mut first).await?;
        match (length, first) {
            (1, [HANDSHAKE]) => {
                self.acceptor.accept(socket).await.map(|one| Wire::Tls(Box::new(one)))
            }
            (1, _) if self.only => Err(io::Error::other("it is not encrypted")),
            _ => Ok(Wire::Plain(socket)),
        }
    }
}
