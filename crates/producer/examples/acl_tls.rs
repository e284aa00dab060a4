//! Signed requests over encrypted connections: access control (ACL 1.0 and 2.0) and TLS.
//!
//! With a cluster of your own: `NAMESRV_ADDR`, its account in `ACCESS_KEY` and `SECRET_KEY`, and the
//! authority that signed its certificates in `CA_FILE`.

use std::env;
use std::error::Error;
use std::time::Duration;

use posthaste::{Credentials, ErrorKind, Message, Producer, Tls};
use posthaste_broker::Broker;

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    // Without a cluster: a broker with one account, and a certificate made on the spot.
    let certificate = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let (pem, key) = (certificate.cert.pem(), certificate.signing_key.serialize_pem());
    let broker = Broker::builder()
        .access_key("orders", "the secret of orders")
        .tls(pem.clone(), key)
        .tls_only()
        .start()
        .await?;
    let name_servers =
        env::var("NAMESRV_ADDR").unwrap_or_else(|_| broker.name_server().to_string());
    let access_key = env::var("ACCESS_KEY").unwrap_or_else(|_| "orders".to_owned());
    let secret_key = env::var("SECRET_KEY").unwrap_or_else(|_| "the secret of orders".to_owned());
    let tls = match env::var("CA_FILE") {
        Ok(path) => Tls::new().ca_file(path),
        Err(_) => Tls::new().ca_pem(pem),
    };

    let builder = Producer::builder("acl-tls", name_servers.as_str())
        .tls(tls)
        .credentials(Credentials::new(&access_key, secret_key));
    let producer = builder.clone().start().await?;
    let receipt = producer.send(Message::new("acl-tls-topic", "signed and encrypted")).await?;
    println!("{} stored it in {}", receipt.queue().broker(), receipt.queue());
    producer.close(Duration::from_secs(3)).await;

    // With another secret, every request is refused at once.
    let stranger = builder.credentials(Credentials::new(access_key, "a guess")).start().await?;
    match stranger.send(Message::new("acl-tls-topic", "let me in")).await {
        Err(error) if error.kind() == ErrorKind::Denied => println!("{error}\n  {}", error.help()),
        other => return Err(format!("a stranger was let in: {other:?}").into()),
    }
    stranger.close(Duration::ZERO).await;
    Ok(())
}
