//! What a reader of pages is told where the door is closed, and what the pages say of the rest.

use posthaste_broker::{Broker, Fault, NewMessage};
use posthaste_inspector::{Inspector, Password};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::client::{call, get, read};
use crate::start;

const BROWSER: &str = "Accept: text/html,application/xhtml+xml,*/*;q=0.8";
/// `me:correct horse`
const AUTHORIZATION: &str = "Authorization: Basic bWU6Y29ycmVjdCBob3JzZQ==";

async fn with_password() -> (Broker, Inspector) {
    let broker = Broker::builder().topic("orders", 1).start().await.unwrap();
    let builder = Inspector::builder(&broker).address("127.0.0.1:0".parse().unwrap());
    let password = Password::new("correct horse").unwrap();
    let inspector = builder.password(password).start().await.unwrap();
    (broker, inspector)
}

#[tokio::test]
async fn a_browser_is_refused_with_a_page_and_a_program_with_json() {
    let (_broker, inspector) = with_password().await;
    let refused = call(&inspector, "GET", "/").header(BROWSER).send().await.expect(401);
    assert!(refused.head.contains("www-authenticate: basic realm="), "{refused:?}");
    assert!(refused.head.contains("content-type: text/html"), "{refused:?}");
    assert!(refused.body.contains("a password is needed here"), "{refused:?}");
    assert_eq!(get(&inspector, "/").await.expect(401).kind(), "password");
    let form = call(&inspector, "POST", "/send").header(AUTHORIZATION).header(BROWSER);
    let form = form.header("Origin: http://evil.example").send().await.expect(403);
    assert!(form.body.contains("<h1>Forbidden</h1>"), "{form:?}");
}

#[tokio::test]
async fn a_browser_can_send_the_whole_of_a_form_that_is_too_long() {
    let (_broker, inspector) = start().await;
    let body = vec![b'x'; 16 << 20];
    let address = inspector.address();
    let head = format!(
        "POST /send HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{BROWSER}\r\n\
         Origin: http://{address}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body).await.expect("the whole form is taken");
    let refused = read(stream).await.expect(413);
    assert!(refused.body.contains("a body has at most 1 MiB"), "{refused:?}");
    assert!(refused.body.contains("posthaste send TOPIC -F FILE"), "{refused:?}");
}

#[tokio::test]
async fn a_body_is_fetched_with_the_password_or_not_at_all() {
    for has_password in [false, true] {
        let (broker, inspector) = if has_password { with_password().await } else { start().await };
        broker.put(NewMessage::new("orders", vec![0xff]).queue(0)).await.unwrap();
        let page = call(&inspector, "GET", "/topics/orders/0/0").header(AUTHORIZATION);
        let page = page.send().await.expect(200).body;
        let name = if has_password { "-u me " } else { "" };
        let line =
            format!("curl -fsS {name}{}/topics/orders/0/0/body | posthaste -n ", inspector.url());
        assert!(page.contains(&line), "{line}: {page}");
    }
}

#[tokio::test]
async fn a_property_whose_name_has_a_sign_of_its_own_is_copied_in_an_envelope() {
    let (broker, inspector) = start().await;
    let message = NewMessage::new("orders", "x").queue(0).property("a=b", "c");
    broker.put(message).await.unwrap();
    let page = get(&inspector, "/topics/orders/0/0").await.expect(200).body;
    assert!(page.contains("&#34;properties&#34;:{&#34;a=b&#34;:&#34;c&#34;}"), "{page}");
    assert!(page.contains("send --json -- orders"), "{page}");
}

/// The words of a rule are those that an unknown word is answered with; so are their values.
#[tokio::test]
async fn the_page_of_rules_has_all_words() {
    let (_broker, inspector) = start().await;
    let page = get(&inspector, "/faults").await.expect(200).body;
    let list = page.split_once("<dl class=\"words\">").unwrap().1.split_once("</dl>").unwrap().0;
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let told: Vec<_> = list.split(|c| !is_part(c)).collect();
    for rule in ["zzz=1", "on=zzz", "on=send kind=zzz", "on=send point=zzz", "on=send do=zzz"] {
        let error = rule.parse::<Fault>().unwrap_err().to_string();
        let (_, there_is) = error.split_once("there is: ").unwrap();
        for word in there_is.split(", ") {
            assert!(told.contains(&word), "{word}: {list}");
        }
    }
}
