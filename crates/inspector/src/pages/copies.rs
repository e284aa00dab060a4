//! Lines to copy: a client that connects, and a message as a command, as Rust and as Java.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use posthaste_broker::{BrokerHandle, StoredMessage};
use serde_json::json;

/// Up to this many bytes a body stands in the line itself.
const IN_LINE: usize = 8 * 1024;

/// How clients connect.
pub(super) struct Connecting {
    pub(super) shell: String,
    pub(super) rust: String,
    pub(super) java: String,
}

/// A message, to be sent again.
pub(super) struct Copies {
    pub(super) shell: String,
    pub(super) rust: String,
    pub(super) java: String,
}

/// Where programs of this machine find name server and broker.
pub(super) fn addresses(broker: &BrokerHandle) -> (String, String) {
    let here = |mut address: SocketAddr| {
        if address.ip().is_unspecified() {
            address.set_ip(match address.ip() {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        address.to_string()
    };
    let addresses = broker.addresses();
    let of = |address: Option<SocketAddr>| address.map_or_else(|| "stopped".to_owned(), here);
    (of(addresses.map(|it| it.name_server)), of(addresses.map(|it| it.broker)))
}

impl Connecting {
    pub(super) fn to(name_server: &str) -> Self {
        Self {
            shell: format!("posthaste -n {name_server} send orders hello"),
            rust: format!(
                "let producer = Producer::builder(\"my-service\", {name_server:?}).start().await?;\n\
                 let receipt = producer.send(Message::new(\"orders\", \"hello\")).await?;\n"
            ),
            java: format!(
                "DefaultMQProducer producer = new DefaultMQProducer(\"my-service\");\n\
                 producer.setNamesrvAddr({name_server:?});\n\
                 producer.start();\n\
                 producer.send(new Message(\"orders\", \"hello\".getBytes(StandardCharsets.UTF_8)));\n"
            ),
        }
    }
}

/// What curl needs to write a body: the address, and a name where there is a password, for which it asks.
pub(super) fn download(url: &str, has_password: bool) -> String {
    let name = if has_password { "-u me " } else { "" };
    format!("{name}{}", quoted(url))
}

impl Copies {
    /// A message for this name server; `download` is what curl needs to write its body.
    pub(super) fn of(message: &StoredMessage, name_server: &str, download: &str) -> Self {
        Self {
            shell: shell(message, name_server, download),
            rust: rust(message),
            java: java(message),
        }
    }
}

/// What to send: a message that waits is sent to the topic that it waits for.
fn topic(message: &StoredMessage) -> &str {
    message.waits_for.as_ref().map_or(&message.topic, |waits_for| &waits_for.topic)
}

fn shell(message: &StoredMessage, name_server: &str, download: &str) -> String {
    let send = format!("posthaste -n {name_server} send");
    let topic = quoted(topic(message));
    // Flags, ordering keys, and names with the sign that ends names, are only in the envelope.
    let is_cut = message.properties.keys().any(|name| name.contains('='));
    if message.flag != 0 || message.ordering_key.is_some() || is_cut {
        let envelope = quoted(&envelope(message));
        return format!("printf '%s\\n' {envelope} | {send} --json -- {topic}\n");
    }
    let mut options = String::new();
    let mut option =
        |name: &str, value: &str| options.push_str(&format!(" {name}={}", quoted(value)));
    message.tag.iter().for_each(|tag| option("--tag", tag));
    message.keys.iter().for_each(|key| option("--key", key));
    for (name, value) in &message.properties {
        option("--header", &format!("{name}={value}"));
    }
    match message.text().filter(|text| text.len() <= IN_LINE && !text.contains('\0')) {
        Some(text) => format!("{send}{options} -- {topic} {}\n", quoted(text)),
        // What the server says in place of a body is none.
        None => format!("curl -fsS {download} | {send}{options} -F - -- {topic}\n"),
    }
}

/// The line that `send --json` takes.
fn envelope(message: &StoredMessage) -> String {
    let mut envelope = json!({
        "keys": message.keys,
        "tag": message.tag,
        "flag": message.flag,
        "properties": message.properties,
        "ordered_by": message.ordering_key,
    });
    if let Some(fields) = envelope.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
        match message.text() {
            Some(text) => fields.insert("body".to_owned(), text.into()),
            None => fields.insert("body_b64".to_owned(), STANDARD.encode(&message.body).into()),
        };
    }
    envelope.to_string()
}

/// A text as one word of a shell.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@+".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

fn rust(message: &StoredMessage) -> String {
    let body = match message.text() {
        _ if message.body.len() > IN_LINE => "std::fs::read(\"body.bin\")?".to_owned(),
        Some(text) => format!("{text:?}"),
        None => format!("&b\"{}\"[..]", message.body.escape_ascii()),
    };
    let mut out = format!("let message = Message::new({:?}, {body})", topic(message));
    let mut call = |text: String| out.push_str(&format!("\n    .{text}"));
    message.tag.iter().for_each(|tag| call(format!("tag({tag:?})")));
    message.keys.iter().for_each(|key| call(format!("key({key:?})")));
    message.properties.iter().for_each(|(name, value)| {
        call(format!("property({name:?}, {value:?})"));
    });
    message.ordering_key.iter().for_each(|key| call(format!("order_by({key:?})")));
    if message.flag != 0 {
        call(format!("flag({})", message.flag));
    }
    out.push_str(";\nlet receipt = producer.send(message).await?;\n");
    out
}

fn java(message: &StoredMessage) -> String {
    let body = match message.text() {
        _ if message.body.len() > IN_LINE => "Files.readAllBytes(Path.of(\"body.bin\"))".to_owned(),
        Some(text) => format!("{}.getBytes(StandardCharsets.UTF_8)", java_text(text)),
        None => format!("Base64.getDecoder().decode(\"{}\")", STANDARD.encode(&message.body)),
    };
    let mut out =
        format!("Message message = new Message({}, {body});\n", java_text(topic(message)));
    let mut set = |text: String| out.push_str(&format!("message.{text};\n"));
    message.tag.iter().for_each(|tag| set(format!("setTags({})", java_text(tag))));
    if !message.keys.is_empty() {
        set(format!("setKeys({})", java_text(&message.keys.join(" "))));
    }
    for (name, value) in &message.properties {
        set(format!("putUserProperty({}, {})", java_text(name), java_text(value)));
    }
    if message.flag != 0 {
        set(format!("setFlag({})", message.flag));
    }
    match &message.ordering_key {
        Some(key) => {
            let key = java_text(key);
            out.push_str(&format!(
                "SendResult result = producer.send(message, new SelectMessageQueueByHash(), {key});"
            ));
            out.push('\n');
        }
        None => out.push_str("SendResult result = producer.send(message);\n"),
    }
    out
}

/// A literal of Java.
fn java_text(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
