//! Certificates for tests, made on the spot, and a door that speaks TLS before a plain server.

#![allow(dead_code, reason = "each test uses a part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion, version};

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub(crate) struct Certificate {
    pub(crate) chain: String,
    pub(crate) key: String,
}

/// A certificate authority.
pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// A certificate for these names or addresses.
    pub(crate) fn issue(&self, names: &[&str]) -> Certificate {
        self.issue_with(names, |_| {})
    }

    /// The same, changed before it is signed.
    pub(crate) fn issue_with(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Certificate {
        let mut params = params(names);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let chain = params.signed_by(&key, &self.issuer).unwrap().pem();
        Certificate { chain, key: key.serialize_pem() }
    }
}

/// A certificate that only its owner has signed.
pub(crate) fn self_signed(names: &[&str]) -> Certificate {
    let key = KeyPair::generate().unwrap();
    let chain = params(names).self_signed(&key).unwrap().pem();
    Certificate { chain, key: key.serialize_pem() }
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params
}

pub(crate) const TLS_1_2: &[&SupportedProtocolVersion] = &[&version::TLS12];
pub(crate) const TLS_1_3: &[&SupportedProtocolVersion] = &[&version::TLS13];
pub(crate) const BOTH: &[&SupportedProtocolVersion] = &[&version::TLS12, &version::TLS13];

/// What a server needs to show this certificate, and to demand one signed by `clients`.
pub(crate) fn server(
    certificate: &Certificate,
    versions: &[&'static SupportedProtocolVersion],
    clients: Option<&Authority>,
) -> ServerConfig {
    let provider = Arc::new(ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider.clone());
    let config = config.with_protocol_versions(versions).unwrap();
    let config = match clients {
        None => config.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            config.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let chain = CertificateDer::pem_slice_iter(certificate.chain.as_bytes());
    let chain = chain.collect::<Result<Vec<_>, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_slice(certificate.key.as_bytes()).unwrap();
    config.with_single_cert(chain, key).unwrap()
}

/// An address that speaks TLS and passes on what is inside.
pub(crate) struct Door {
    pub(crate) address: String,
    /// Bytes that came in and were passed on.
    passed: Arc<AtomicUsize>,
}

impl Door {
    /// A door before a plain server. It lives as long as the test's runtime.
    pub(crate) async fn before(backend: &str, config: ServerConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (passed, acceptor) =
            (Arc::new(AtomicUsize::new(0)), TlsAcceptor::from(Arc::new(config)));
        let (counter, backend) = (passed.clone(), backend.to_owned());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, counter, backend) =
                    (acceptor.clone(), counter.clone(), backend.clone());
                tokio::spawn(pass(acceptor, stream, backend, counter));
            }
        });
        Self { address, passed }
    }

    pub(crate) fn passed(&self) -> usize {
        self.passed.load(Ordering::Relaxed)
    }
}

async fn pass(acceptor: TlsAcceptor, stream: TcpStream, to: String, counter: Arc<AtomicUsize>) {
    let stream = match acceptor.accept(stream).into_fallible().await {
        Ok(stream) => stream,
        Err((_, mut stream)) => {
            // The request must arrive: with unread bytes the close would be a reset.
            let mut rest = [0; 1024];
            while matches!(stream.read(&mut rest).await, Ok(1..)) {}
            return;
        }
    };
    let Ok(backend) = TcpStream::connect(to).await else { return };
    let (mut from, mut back) = tokio::io::split(stream);
    let (mut answers, mut into) = backend.into_split();
    let inwards = async {
        let mut bytes = [0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut bytes).await {
            counter.fetch_add(length, Ordering::Relaxed);
            let written = tokio::io::AsyncWriteExt::write_all(&mut into, &bytes[..length]);
            if written.await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = inwards => {}
        _ = tokio::io::copy(&mut answers, &mut back) => {}
    }
}
