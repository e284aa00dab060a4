//! The pages in a real browser, where there is one. `POSTHASTE_BROWSER_TESTS=1` makes a missing one a
//! failure.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may panic"
)]

mod driver;

use std::path::Path;
use std::time::Duration;

use posthaste::{Message, Producer};
use posthaste_broker::{Broker, NewMessage};
use posthaste_inspector::{Inspector, serve};
use serde_json::json;
use tokio::sync::Mutex;

use crate::driver::browser;

/// Far longer than anything here takes.
const HANG: Duration = Duration::from_secs(120);
/// A browser takes a lot: one at a time.
static ALONE: Mutex<()> = Mutex::const_new(());
/// The tab key.
const TAB: &str = "\u{e004}";

const MARKUP: &str =
    "<img src=x onerror=\"window.hacked=1\"><script>window.hacked=1</script> & more";

async fn start() -> (Broker, Inspector) {
    let broker = Broker::builder().topic("orders", 4).start().await.unwrap();
    let inspector = serve(&broker, "127.0.0.1:0".parse().unwrap()).await.unwrap();
    (broker, inspector)
}

async fn producer(broker: &Broker) -> Producer {
    let producer = Producer::builder("orders-service", broker.name_server().to_string());
    producer.send_timeout(HANG).start().await.unwrap()
}

#[track_caller]
fn assert_quiet(console: &[String]) {
    assert!(console.is_empty(), "{console:#?}");
}

/// A broker about which every page has something to say.
async fn lived_in(broker: &Broker) -> Producer {
    let producer = producer(broker).await;
    for n in 0..60 {
        let body = format!(
            "{{\"order\": {n}, \"customer\": {{\"name\": \"Müller & Sons\"}}, \"total\": 12.50, \"lines\": [1, 2, 3]}}"
        );
        let message = Message::new("orders", body).tag("created").key(format!("order-{n}"));
        producer.send(message.property("trace", "7f3a")).await.unwrap();
    }
    broker.put(NewMessage::new("payments", MARKUP).tag("paid").queue(0)).await.unwrap();
    let picture = NewMessage::new("pictures", vec![0xff; 5_000]).queue(0);
    broker.put(picture).await.unwrap();
    let busy =
        "on=send topic=payments first=3 do=refuse code=SYSTEM_BUSY remark=\"too much at once\"";
    broker.fault(busy.parse().unwrap()).unwrap();
    broker.fault("on=send every=10 point=after-store do=no-answer".parse().unwrap()).unwrap();
    producer
}

#[tokio::test]
async fn every_page_is_whole_at_any_width_and_says_nothing_on_the_console() {
    let _alone = ALONE.lock().await;
    let Some(browser) = browser().await else { return };
    let (broker, inspector) = start().await;
    let producer = lived_in(&broker).await;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../pages");
    std::fs::create_dir_all(&folder).unwrap();
    let pages = [
        ("overview", "/"),
        ("topics", "/topics"),
        ("topic", "/topics/orders"),
        ("message", "/topics/orders/1/3"),
        ("markup", "/topics/payments/0/0"),
        ("bytes", "/topics/pictures/0/0"),
        ("messages", "/messages"),
        ("clients", "/clients"),
        ("send", "/send?topic=orders"),
        ("faults", "/faults"),
        ("wire", "/wire"),
        ("not-found", "/find?id=none"),
        ("no-page", "/topics/none"),
    ];
    for is_dark in [false, true] {
        browser.darken(is_dark).await;
        for (name, path) in pages {
            for width in [1280, 360] {
                if name == "wire" {
                    // It is recorded only while somebody looks.
                    broker.wire().await.unwrap();
                    producer.send(Message::new("orders", "recorded")).await.unwrap();
                }
                browser.resize(width, 800).await;
                browser.go(&format!("{}{path}", inspector.url())).await;
                if path == "/" {
                    browser.until("document.querySelector('#chart canvas') !== null").await;
                }
                let widest = browser.value("document.documentElement.scrollWidth").await;
                assert_eq!(widest, json!(width), "{path} is wider than the window");
                let shade = if is_dark { "-dark" } else { "" };
                browser.picture(&folder.join(format!("{name}-{width}{shade}.png"))).await;
                let console = browser.console().await;
                // The browser itself says of a page with the status 404 that it has it.
                let own =
                    |line: &String| !(path.contains("none") && line.contains("status of 404"));
                assert_quiet(&console.into_iter().filter(own).collect::<Vec<_>>());
            }
        }
    }
    browser.quit().await;
}

#[tokio::test]
async fn a_message_appears_by_itself_and_its_markup_is_text() {
    let _alone = ALONE.lock().await;
    let Some(browser) = browser().await else { return };
    let (broker, inspector) = start().await;
    browser.go(&format!("{}/messages", inspector.url())).await;
    browser.until("document.querySelector('#live-state').textContent === 'live'").await;
    broker.put(NewMessage::new("orders", MARKUP).tag(MARKUP)).await.unwrap();
    browser.until("document.querySelectorAll('#rows tr').length === 1").await;
    assert_eq!(browser.text("#rows .body").await, MARKUP);
    // What is paused appears when it goes on.
    browser.click("#live button").await;
    broker.put(NewMessage::new("orders", "later")).await.unwrap();
    browser.until("document.querySelector('#live-state').textContent === 'paused, 1 more'").await;
    assert_eq!(browser.value("document.querySelectorAll('#rows tr').length").await, json!(1));
    browser.click("#live button").await;
    browser.until("document.querySelectorAll('#rows tr').length === 2").await;
    assert_eq!(browser.text("#rows tr:first-child .body").await, "later");
    browser.click("#rows tr:last-child td:nth-child(3) a").await;
    browser.until("location.pathname.startsWith('/topics/orders/')").await;
    assert!(browser.text("main").await.contains(MARKUP));
    assert_eq!(browser.value("window.hacked === undefined").await, json!(true));
    assert_quiet(&browser.console().await);
    browser.quit().await;
}

#[tokio::test]
async fn a_live_page_goes_on_after_a_restart() {
    let _alone = ALONE.lock().await;
    let Some(browser) = browser().await else { return };
    let (broker, inspector) = start().await;
    broker.put(NewMessage::new("orders", "of the first run")).await.unwrap();
    let address = inspector.address();
    browser.go(&format!("{}/messages", inspector.url())).await;
    browser.until("document.querySelector('#live-state').textContent === 'live'").await;
    inspector.stop().await;
    broker.stop().await;
    browser.until("document.querySelector('#live-state').textContent.includes('lost')").await;
    let broker = Broker::builder().start().await.unwrap();
    broker.put(NewMessage::new("orders", "of the second run")).await.unwrap();
    let inspector = serve(&broker, address).await.unwrap();
    browser.until("document.querySelector('#live-state').textContent === 'live'").await;
    browser.until("document.querySelector('#rows').textContent.includes('second run')").await;
    assert!(!browser.text("#rows").await.contains("first run"));
    broker.put(NewMessage::new("orders", "and another")).await.unwrap();
    browser.until("document.querySelector('#rows').textContent.includes('another')").await;
    inspector.stop().await;
    browser.quit().await;
}

#[tokio::test]
async fn the_send_form_stores_a_message_and_remembers_the_last_body_of_a_topic() {
    let _alone = ALONE.lock().await;
    let Some(browser) = browser().await else { return };
    let (broker, inspector) = start().await;
    browser.go(&format!("{}/send", inspector.url())).await;
    browser.fill("#send [name=topic]", "orders").await;
    browser.fill("#send [name=body]", "{\"order\": 1,}").await;
    browser.until("document.querySelector('#body-state').textContent.includes('not JSON')").await;
    browser.fill("#send [name=body]", "{\"order\": 1}").await;
    browser.until("document.querySelector('#body-state').textContent === 'This is JSON.'").await;
    browser.fill("#send [name=keys]", "o-1 c-7").await;
    browser.click("#send button").await;
    browser.until("location.pathname.startsWith('/topics/orders/')").await;
    assert!(browser.text("main").await.contains("\"order\": 1"));
    let stored = broker.messages("orders").await.unwrap();
    assert_eq!((stored.len(), stored[0].text()), (1, Some("{\"order\": 1}")));
    assert_eq!(stored[0].keys, ["o-1", "c-7"]);
    browser.go(&format!("{}/send?topic=orders", inspector.url())).await;
    let body = "document.querySelector('#send [name=body]').value";
    assert_eq!(browser.value(body).await, json!("{\"order\": 1}"));
    browser.go(&format!("{}/send?topic=payments", inspector.url())).await;
    assert_eq!(browser.value(body).await, json!(""));
    assert_quiet(&browser.console().await);
    browser.quit().await;
}

#[tokio::test]
async fn a_fault_that_is_switched_on_in_the_page_is_felt_by_a_producer() {
    let _alone = ALONE.lock().await;
    let Some(browser) = browser().await else { return };
    let (broker, inspector) = start().await;
    let producer = producer(&broker).await;
    producer.send(Message::new("orders", "before")).await.unwrap();
    browser.go(&format!("{}/faults", inspector.url())).await;
    browser.fill("[name=rule]", "on=send do=refuse code=MESSAGE_ILLEGAL").await;
    browser.click(".rule button").await;
    browser.until("document.querySelectorAll('tbody tr').length === 1").await;
    let error = producer.send(Message::new("orders", "refused")).await.unwrap_err();
    browser.go(&format!("{}/faults", inspector.url())).await;
    assert_ne!(browser.text("[data-label=Hits]").await, "0", "{error}");
    browser.click("tbody button").await;
    browser.until("document.querySelector('tbody') === null").await;
    producer.send(Message::new("orders", "after")).await.unwrap();
    assert_eq!(broker.messages("orders").await.unwrap().len(), 2);
    assert_quiet(&browser.console().await);
    browser.quit().await;
}

#[tokio::test]
async fn the_figures_move_and_the_keyboard_gets_everywhere() {
    let _alone = ALONE.lock().await;
    let Some(browser) = browser().await else { return };
    let (broker, inspector) = start().await;
    browser.go(&inspector.url()).await;
    browser.until("document.querySelector('#figure-stored').textContent === '0'").await;
    broker.put(NewMessage::new("orders", "x")).await.unwrap();
    browser.until("document.querySelector('#figure-stored').textContent === '1'").await;
    browser.press(TAB).await;
    assert_eq!(
        browser.value("document.activeElement.textContent").await,
        json!("Skip to the content")
    );
    let links = browser.value("document.querySelectorAll('nav a').length").await;
    for n in 0..=links.as_u64().unwrap() {
        browser.press(TAB).await;
        let is_there = match n {
            0 => "document.activeElement.className === 'brand'".to_owned(),
            n => {
                format!("document.activeElement === document.querySelectorAll('nav a')[{}]", n - 1)
            }
        };
        assert_eq!(browser.value(&is_there).await, json!(true), "{n}");
        let outline = browser.value("getComputedStyle(document.activeElement).outlineStyle").await;
        assert_eq!(outline, json!("solid"), "{n}");
    }
    assert_quiet(&browser.console().await);
    browser.quit().await;
}
