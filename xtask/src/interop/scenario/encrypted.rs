//! TLS with real servers. Servers that have no certificate make and show a self-signed one; servers that
//! are set up with a certificate demand ours.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use posthaste::{ErrorKind, Message, Outcome, Producer, Tls};

use super::arrival;
use crate::interop::cluster::Cluster;
use crate::interop::consumer::Subscription;
use crate::interop::guard::{Authority, Guard};

const SELF_SIGNED: &str = "self-signed";
const MUTUAL: &str = "encrypted";
const LIMIT: Duration = Duration::from_secs(30);

/// A self-signed certificate is refused, unless danger is asked for.
pub(crate) fn self_signed(cluster: &mut Cluster) -> Result<String> {
    cluster.create_topic(SELF_SIGNED, 4)?;
    let trusting = Tls::new().ca_pem(Authority::new()?.pem);
    let refusal = refuses(cluster, SELF_SIGNED, trusting)?;
    let careless = Tls::new().dangerous_accept_any_certificate();
    let builder = Producer::builder(SELF_SIGNED, cluster.name_server()).tls(careless);
    let producer = cluster.block_on(builder.start())?.with_timeout(LIMIT);
    let sent = cluster.block_on(arrival::send_all(&producer, SELF_SIGNED))?;
    arrive(cluster, SELF_SIGNED, &sent)?;
    Ok(format!("{} messages; {refusal}", sent.len()))
}

/// The server's certificate is verified, down to the address, and ours is shown.
pub(crate) fn mutual(cluster: &mut Cluster) -> Result<String> {
    cluster.create_topic(MUTUAL, 4)?;
    let guard = cluster.guard()?;
    let (mutual, silent) = (guard.mutual_tls(), guard.tls());
    let misnamed = guard.mutual_tls().server_name("another.example");
    let builder = Producer::builder(MUTUAL, cluster.name_server());
    let builder = builder.tls(mutual).credentials(Guard::admin());
    let producer = cluster.block_on(builder.start())?.with_timeout(LIMIT);
    let sent = cluster.block_on(arrival::send_all(&producer, MUTUAL))?;
    arrive(cluster, MUTUAL, &sent)?;
    let unknown = refuses(cluster, MUTUAL, silent).context("without our certificate")?;
    refuses(cluster, MUTUAL, misnamed).context("with another name")?;
    Ok(format!("{} messages; without our certificate: {unknown}", sent.len()))
}

fn arrive(cluster: &Cluster, topic: &str, sent: &arrival::Sent) -> Result<()> {
    let consumer = cluster.agent().start_consumer(&Subscription::new(topic, topic))?;
    arrival::receive(&consumer, sent.clone(), LIMIT)?;
    cluster.agent().stop(consumer.name())
}

/// A producer with such settings sends nothing; gives what its error says.
fn refuses(cluster: &Cluster, topic: &str, tls: Tls) -> Result<String> {
    let builder = Producer::builder("untrusting", cluster.name_server()).tls(tls);
    let producer = cluster.block_on(builder.credentials(Guard::admin()).start())?;
    let sent = cluster.block_on(producer.with_timeout(LIMIT).send(Message::new(topic, "x")));
    let error = sent.err().context("it was sent")?;
    let end = (error.kind(), error.outcome());
    ensure!(end == (ErrorKind::Tls, Outcome::NotStored), "{error}");
    Ok(error.to_string())
}
