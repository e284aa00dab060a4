use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use posthaste::{Credentials, Tls};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::version::Version;

/// Is known, and may do nothing (4.x).
const STRANGER: (&str, &str) = ("posthaste-stranger", "a-secret-of-strangers");

/// What the known account lacks.
pub(crate) const NO_PERMISSION: &str = "no permission";

/// Where access control keeps its accounts, as 5.x calls it.
const METADATA: &str = "Local";

/// What a cluster demands of clients: signatures, and with TLS a certificate. Plain connections are
/// taken nevertheless, as real servers do.
pub(crate) struct Guard {
    version: Version,
    authority: String,
    client: Certificate,
    /// Settings of TLS, for name server and broker.
    properties: PathBuf,
}

/// A certificate and its key, as PEM.
pub(crate) struct Certificate {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Guard {
    /// Who may do everything, and the secret.
    pub(crate) const ADMIN: (&str, &str) = ("posthaste-admin", "a-secret-of-admins");

    /// Makes what servers and clients need, under `folder`.
    pub(crate) fn new(version: Version, folder: &Path) -> Result<Self> {
        let folder = folder.join("tls");
        fs::create_dir_all(&folder)?;
        let authority = Authority::new()?;
        let (server, client) = (authority.issue("127.0.0.1")?, authority.issue("order-service")?);
        for (name, text) in
            [("ca.pem", &authority.pem), ("server.pem", &server.chain), ("server.key", &server.key)]
        {
            fs::write(folder.join(name), text).with_context(|| format!("writing {name}"))?;
        }
        let properties = folder.join("tls.properties");
        fs::write(&properties, tls_properties(&folder)).context("writing tls.properties")?;
        Ok(Self { version, authority: authority.pem, client, properties })
    }

    /// Whether the version gets TLS up on the Java that runs here.
    pub(crate) fn has_tls(&self) -> bool {
        self.version != Version::V4_7_0
    }

    /// Options of every server's Java process.
    pub(crate) fn options(&self) -> Vec<String> {
        match self.has_tls() {
            true => vec![format!("-Dtls.config.file={}", self.properties.display())],
            false => Vec::new(),
        }
    }

    /// Further lines of a broker's settings. The accounts, which 4.x reads from a separate file, are put
    /// under `home`.
    pub(crate) fn broker_settings(&self, home: &Path) -> Result<Vec<String>> {
        if self.version != Version::V5_5_0 {
            let path = home.join("conf").join("plain_acl.yml");
            fs::write(path, acl_1_accounts()).context("writing plain_acl.yml")?;
            return Ok(vec!["aclEnable=true".to_owned()]);
        }
        let (user, password) = Guard::ADMIN;
        Ok(vec![
            "authenticationEnabled=true".to_owned(),
            acl_2_class("authentication", "Default", "Provider"),
            acl_2_class("authentication", METADATA, "MetadataProvider"),
            format!(r#"initAuthenticationUser={{"username":"{user}","password":"{password}"}}"#),
            format!(
                r#"innerClientAuthenticationCredentials={{"accessKey":"{user}","secretKey":"{password}"}}"#
            ),
            "authorizationEnabled=true".to_owned(),
            acl_2_class("authorization", "Default", "Provider"),
            acl_2_class("authorization", METADATA, "MetadataProvider"),
        ])
    }

    /// Options of an official client that may do everything.
    pub(crate) fn client_options() -> Vec<String> {
        let (user, password) = Guard::ADMIN;
        vec![format!("-Dinterop.accessKey={user}"), format!("-Dinterop.secretKey={password}")]
    }

    /// Who may do everything.
    pub(crate) fn admin() -> Credentials {
        Credentials::new(Self::ADMIN.0, Self::ADMIN.1)
    }

    /// Clients that may do nothing, each with what it lacks.
    pub(crate) fn strangers(&self) -> Vec<(&'static str, Option<Credentials>)> {
        let mut strangers = vec![
            ("no key", None),
            ("a wrong secret", Some(Credentials::new(Self::ADMIN.0, "another-secret"))),
            ("an unknown key", Some(Credentials::new("nobody-at-all", Self::ADMIN.1))),
        ];
        if self.version != Version::V5_5_0 {
            strangers.push((NO_PERMISSION, Some(Credentials::new(STRANGER.0, STRANGER.1))));
        }
        strangers
    }

    /// TLS that trusts the cluster's servers.
    pub(crate) fn tls(&self) -> Tls {
        Tls::new().ca_pem(self.authority.clone())
    }

    /// The same, with the certificate that they demand.
    pub(crate) fn mutual_tls(&self) -> Tls {
        self.tls().client_certificate(self.client.chain.clone(), self.client.key.clone())
    }
}

/// A certificate authority for one run.
pub(crate) struct Authority {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "interop");
        let key = KeyPair::generate()?;
        let pem = params.self_signed(&key)?.pem();
        Ok(Self { pem, issuer: Issuer::new(params, key) })
    }

    pub(crate) fn issue(&self, name: &str) -> Result<Certificate> {
        let mut params = CertificateParams::new([name.to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate()?;
        let chain = params.signed_by(&key, &self.issuer)?.pem();
        Ok(Certificate { chain, key: key.serialize_pem() })
    }
}

fn tls_properties(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "tls.test.mode.enable=false\n\
         tls.server.need.client.auth=require\n\
         tls.server.keyPath={folder}/server.key\n\
         tls.server.certPath={folder}/server.pem\n\
         tls.server.authClient=true\n\
         tls.server.trustCertPath={folder}/ca.pem\n"
    )
}

fn acl_1_accounts() -> String {
    let (admin, secret) = Guard::ADMIN;
    let (stranger, other) = STRANGER;
    format!(
        "accounts:\n\
         - accessKey: {admin}\n  \
           secretKey: {secret}\n  \
           admin: true\n  \
           defaultTopicPerm: PUB|SUB\n  \
           defaultGroupPerm: PUB|SUB\n\
         - accessKey: {stranger}\n  \
           secretKey: {other}\n  \
           admin: false\n  \
           defaultTopicPerm: DENY\n  \
           defaultGroupPerm: DENY\n"
    )
}

fn acl_2_class(part: &str, kind: &str, what: &str) -> String {
    let (first, rest) = part.split_at(1);
    let class = format!("{kind}{}{rest}{what}", first.to_uppercase());
    format!("{part}{what}=org.apache.rocketmq.auth.{part}.provider.{class}")
}
