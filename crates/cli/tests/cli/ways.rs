//! Every way into a cluster: by flag, by variable and by context.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use posthaste_broker::Broker;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::pki::{Authority, BOTH, Door, TLS_1_2, server};
use crate::shell::{Run, broker, landed_bodies, posthaste, posthaste_at, run};

/// Runs `send T x` with these flags, and all the time it needs.
async fn send_with(flags: &[&str]) -> Run {
    run(posthaste(&[&["send", "T", "x", "--timeout", "1h"], flags].concat()), "").await
}

/// The same where it cannot end well: some time to find out.
async fn fail_with(flags: &[&str]) -> Run {
    run(posthaste(&[&["send", "T", "x", "--timeout", "1s"], flags].concat()), "").await
}

fn write(folder: &TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    path.display().to_string()
}

/// A broker behind doors that speak TLS, for a name and not for this machine's address.
struct Doors {
    broker: Broker,
    name_server: Door,
    map: String,
    folder: TempDir,
}

impl Doors {
    async fn new() -> Self {
        let broker = broker().await;
        let folder = TempDir::new().unwrap();
        let (ours, clients) = (Authority::new("ours"), Authority::new("clients"));
        let certificate = ours.issue(&["mq.internal"]);
        let client = clients.issue(&["orders"]);
        write(&folder, "ca.pem", &ours.pem);
        write(&folder, "cert.pem", &client.chain);
        write(&folder, "key.pem", &client.key);
        let config = || server(&certificate, BOTH, Some(&clients));
        let name_server = Door::before(&broker.name_server().to_string(), config()).await;
        let door = Door::before(&broker.address().to_string(), config()).await;
        let map = format!("{}={}", broker.address(), door.address);
        Self { broker, name_server, map, folder }
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn client_certificates_and_the_names_of_servers() {
    let doors = Doors::new().await;
    let (ca, cert, key) = (doors.file("ca.pem"), doors.file("cert.pem"), doors.file("key.pem"));
    let at = ["-n", &doors.name_server.address, "--broker-map", &doors.map];
    let client = ["--tls-client-cert", &cert, "--tls-client-key", &key];
    let name = ["--tls-server-name", "mq.internal"];
    let trust = ["--tls-ca", &ca];
    let all = [&at[..], &client, &name, &trust].concat();
    send_with(&all).await.expect_code(0);
    send_with(&[&all[..], &["--tls-min", "1.3"]].concat()).await.expect_code(0);
    let danger = ["--dangerous-accept-any-certificate"];
    let dangerous = send_with(&[&at[..], &client, &danger].concat()).await.expect_code(0);
    assert!(dangerous.stderr.contains("warning: any certificate is accepted"), "{dangerous:?}");
    assert_eq!(landed_bodies(&doors.broker, "T").await, ["x", "x", "x"]);

    let no_client = fail_with(&[&at[..], &name, &trust].concat()).await.expect_code(3);
    assert!(no_client.stderr.contains("--tls-client-cert"), "{}", no_client.stderr);
    let no_name = fail_with(&[&at[..], &client, &trust].concat()).await.expect_code(3);
    assert!(no_name.stderr.contains("--tls-server-name"), "{}", no_name.stderr);
    fail_with(&[&at[..], &client, &name].concat()).await.expect_code(3);
    assert_eq!(landed_bodies(&doors.broker, "T").await.len(), 3);

    // The same from a context, and from variables.
    let home = TempDir::new().unwrap();
    let add = [&["context", "add", "p"][..], &all].concat();
    let mut command = posthaste(&add);
    command.env("XDG_CONFIG_HOME", home.path());
    run(command, "").await.expect_code(0);
    let mut command = posthaste(&["send", "T", "x", "--timeout", "1h"]);
    command.env("XDG_CONFIG_HOME", home.path());
    run(command, "").await.expect_code(0);
    let mut command = posthaste(&["send", "T", "x", "--timeout", "1h"]);
    command.envs([
        ("POSTHASTE_NAMESRV", &doors.name_server.address),
        ("POSTHASTE_BROKER_MAP", &doors.map),
        ("POSTHASTE_TLS_CA", &ca),
        ("POSTHASTE_TLS_CLIENT_CERT", &cert),
        ("POSTHASTE_TLS_CLIENT_KEY", &key),
    ]);
    command.env("POSTHASTE_TLS_SERVER_NAME", "mq.internal");
    run(command, "").await.expect_code(0);
    assert_eq!(landed_bodies(&doors.broker, "T").await.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_version_of_tls_is_not_spoken_below_the_lowest() {
    let broker = broker().await;
    let ours = Authority::new("ours");
    let certificate = ours.issue(&["127.0.0.1"]);
    let folder = TempDir::new().unwrap();
    let ca = write(&folder, "ca.pem", &ours.pem);
    let old = || server(&certificate, TLS_1_2, None);
    let name_server = Door::before(&broker.name_server().to_string(), old()).await;
    let door = Door::before(&broker.address().to_string(), old()).await;
    let map = format!("{}={}", broker.address(), door.address);
    let at = ["-n", &name_server.address, "--broker-map", &map, "--tls-ca", &ca];
    send_with(&at).await.expect_code(0);
    send_with(&[&at[..], &["--tls-min", "1.2"]].concat()).await.expect_code(0);
    let refused = fail_with(&[&at[..], &["--tls-min", "1.3"]].concat()).await.expect_code(3);
    assert!(refused.stderr.contains("--tls-min"), "{}", refused.stderr);
}

/// A plain door that notes what comes in.
async fn noting(backend: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let noted = Arc::new(Mutex::new(Vec::new()));
    let notes = noted.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let notes = notes.clone();
            tokio::spawn(async move {
                let mut server = TcpStream::connect(backend).await.unwrap();
                let (mut from, mut back) = client.split();
                let (mut answers, mut into) = server.split();
                let inwards = async {
                    let mut bytes = [0; 4096];
                    while let Ok(length @ 1..) = from.read(&mut bytes).await {
                        notes.lock().unwrap().extend_from_slice(&bytes[..length]);
                        into.write_all(&bytes[..length]).await.unwrap();
                    }
                };
                tokio::select! {
                    () = inwards => {}
                    _ = tokio::io::copy(&mut answers, &mut back) => {}
                }
            });
        }
    });
    (address, noted)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_a_client_is_and_in_which_namespace_it_works() {
    let broker = broker().await;
    let (name_server, _) = noting(broker.name_server()).await;
    let (door, noted) = noting(broker.address()).await;
    let at = [
        "-n".to_owned(),
        name_server.to_string(),
        "--broker-map".to_owned(),
        format!("{}={door}", broker.address()),
    ];
    let at: Vec<&str> = at.iter().map(String::as_str).collect();
    send_with(&[&at[..], &["--namespace", "shop"]].concat()).await.expect_code(0);
    assert_eq!(landed_bodies(&broker, "shop%T").await, ["x"]);
    let inside = ["tail", "T", "--until", "now", "--namespace", "shop", "-o", "json"];
    let read = run(posthaste_at(broker.name_server(), &inside), "").await.expect_code(0).json();
    assert_eq!((&read[0]["topic"], &read[0]["body"]), (&"T".into(), &"x".into()));

    let me = ["--namespace-v2", "east-shop", "--instance-name", "me", "--unit", "east"];
    send_with(&[&at[..], &me].concat()).await.expect_code(0);
    assert_eq!(landed_bodies(&broker, "T").await, ["x"]);
    let noted = String::from_utf8_lossy(&noted.lock().unwrap()).into_owned();
    for expected in ["\"ns\":\"east-shop\"", "\"nsd\":\"true\"", "@me@east"] {
        assert!(noted.contains(expected), "{expected}: {noted}");
    }
}

/// Its port is two below the broker's, where the embedded broker has none: the map leads back.
#[tokio::test(flavor = "multi_thread")]
async fn the_vip_channel_is_two_ports_below() {
    let broker = broker().await;
    let server = broker.name_server().to_string();
    let address = broker.address();
    let map = format!("{}:{}={address}", address.ip(), address.port() - 2);
    send_with(&["-n", &server, "--vip", "--broker-map", &map]).await.expect_code(0);
    send_with(&["-n", &server, "--vip=false"]).await.expect_code(0);
    let elsewhere = format!("{address}=127.0.0.1:1");
    send_with(&["-n", &server, "--vip", "--broker-map", &map, "--broker-map", &elsewhere])
        .await
        .expect_code(0);
    assert_eq!(landed_bodies(&broker, "T").await.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_server_says_where_the_name_servers_are() {
    let broker = broker().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/list", listener.local_addr().unwrap());
    let list = broker.name_server().to_string();
    let asked = Arc::new(Mutex::new(String::new()));
    let asks = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut bytes = [0; 4096];
            let length = client.read(&mut bytes).await.unwrap();
            asks.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..length]));
            let length = list.len();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{list}");
            client.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    send_with(&["--address-server", &url]).await.expect_code(0);
    send_with(&["--address-server", &url, "--unit", "east"]).await.expect_code(0);
    assert_eq!(landed_bodies(&broker, "T").await.len(), 2);
    assert!(asked.lock().unwrap().contains("GET /list-east?nofix=1 "), "{asked:?}");
}

/// A SOCKS5 proxy that wants a login, and counts whom it lets through.
async fn proxy(user: &'static str, password: &'static str) -> (String, Arc<Mutex<u32>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let passed = Arc::new(Mutex::new(0));
    let count = passed.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(pass(client, user, password, count.clone()));
        }
    });
    (address, passed)
}

async fn pass(
    mut client: TcpStream,
    user: &str,
    password: &str,
    count: Arc<Mutex<u32>>,
) -> std::io::Result<()> {
    let methods = [client.read_u8().await?, client.read_u8().await?];
    client.read_exact(&mut vec![0; usize::from(methods[1])]).await?;
    client.write_all(&[5, 2]).await?;
    client.read_u8().await?;
    let mut login = Vec::new();
    for _ in 0..2 {
        let mut text = vec![0; usize::from(client.read_u8().await?)];
        client.read_exact(&mut text).await?;
        login.push(String::from_utf8(text).unwrap());
    }
    let is_right = login == [user, password];
    client.write_all(&[1, u8::from(!is_right)]).await?;
    if !is_right {
        return Ok(());
    }
    let mut request = [0; 4];
    client.read_exact(&mut request).await?;
    let host = match request[3] {
        1 => std::net::Ipv4Addr::from(client.read_u32().await?).to_string(),
        _ => {
            let mut name = vec![0; usize::from(client.read_u8().await?)];
            client.read_exact(&mut name).await?;
            String::from_utf8(name).unwrap()
        }
    };
    let port = client.read_u16().await?;
    let mut server = TcpStream::connect((host.as_str(), port)).await?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    *count.lock().unwrap() += 1;
    tokio::io::copy_bidirectional(&mut client, &mut server).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socks5_proxy_with_a_login() {
    let broker = broker().await;
    let (proxy, passed) = proxy("orders", "let-me-in").await;
    let folder = TempDir::new().unwrap();
    let password = write(&folder, "password", "let-me-in\n");
    let server = broker.name_server().to_string();
    let through = ["-n", &server, "--socks5", &proxy, "--socks5-user", "orders"];
    let file = ["--socks5-password-file", &password];
    send_with(&[&through[..], &file].concat()).await.expect_code(0);
    assert!(*passed.lock().unwrap() >= 2, "name server and broker");
    let before = *passed.lock().unwrap();
    for (password, code) in [("let-me-in", 0), ("let-me-out", 3)] {
        let time = if code == 0 { "1h" } else { "1s" };
        let args = [&["send", "T", "x", "--timeout", time], &through[..]].concat();
        let mut command = posthaste(&args);
        command.env("POSTHASTE_SOCKS5_PASSWORD", password);
        let run = run(command, "").await.expect_code(code);
        assert!(!run.stderr.contains(password), "{}", run.stderr);
        assert_eq!(run.stderr.contains("--socks5-user"), code != 0, "{}", run.stderr);
    }
    assert!(*passed.lock().unwrap() > before);
    assert_eq!(landed_bodies(&broker, "T").await.len(), 2);
}

#[tokio::test]
async fn what_no_way_can_be_is_said_before_anything_is_sent() {
    let folder = TempDir::new().unwrap();
    let file = write(&folder, "file", "no certificate\n");
    let encrypted = write(
        &folder,
        "encrypted",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    for (flags, says) in [
        (&["--tls-client-cert", "/nowhere", "--tls-client-key", &file][..], "/nowhere"),
        (&["--tls-client-cert", &file, "--tls-client-key", "/nowhere"], "/nowhere"),
        (&["--tls-client-cert", &file, "--tls-client-key", &file], "no certificate in it"),
        (&["--tls-client-cert", &file, "--tls-client-key", &encrypted], "openssl pkcs8"),
        (&["--tls-client-cert", &file], "--tls-client-key FILE"),
        (&["--tls-server-name", "a b"], "`a b` is neither a host name nor an address"),
        (&["--tls-min", "1.1"], "1.2, 1.3"),
        (&["--tls=false", "--tls-ca", &file], "tls is off, and tls_ca is set"),
        (&["--namespace", "a b"], "namespace"),
        (&["--namespace-v2", "a\u{1}b"], "namespace_v2"),
        (&["--socks5", "proxy"], "`proxy` is not `host:port`"),
        (&["--socks5", "proxy:1", "--socks5-user", "u"], "socks5_user needs a password"),
        (&["--address-server", "ftp://x"], "ftp://x"),
        (&["--address-server", "x", "-n", "y:1"], "say the same thing"),
        (&["--unit", "a b"], "the unit name `a b`"),
        (&["--instance-name", " "], "the instance name is empty"),
        (&["--vip=maybe"], "[possible values: true, false]"),
    ] {
        let run = fail_with(flags).await.expect_code(2);
        assert!(run.stderr.contains(says), "{flags:?}: {}", run.stderr);
    }
}
