//! The pages for a browser: what they show, what they escape, and what they refuse.

use posthaste::Message;
use posthaste_broker::NewMessage;
use posthaste_inspector::Inspector;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use crate::client::{Answer, call, get};
use crate::{HANG, order, producer, start};

/// Every page, and one of their files.
pub(crate) const PAGES: [&str; 9] = [
    "/",
    "/topics",
    "/topics/orders",
    "/messages",
    "/clients",
    "/send",
    "/faults",
    "/wire",
    "/assets/inspector.js",
];

/// A page that is there, as HTML.
async fn page(inspector: &Inspector, path: &str) -> Answer {
    let answer = get(inspector, path).await.expect(200);
    assert!(answer.head.contains("content-type: text/html; charset=utf-8"), "{answer:?}");
    answer
}

/// What stands between two texts of a page.
#[track_caller]
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before:?} in {text}"));
    rest.split_once(after).unwrap_or_else(|| panic!("no {after:?} in {rest}")).0
}

fn token(page: &Answer) -> String {
    between(&page.body, "name=\"token\" value=\"", "\"").to_owned()
}

/// A form, sent from a page of the server.
async fn submit(inspector: &Inspector, path: &str, fields: &[(&str, &str)]) -> Answer {
    let encoded =
        |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02X}")).collect() };
    let body: Vec<_> =
        fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    let body = body.join("&");
    call(inspector, "POST", path)
        .header("Content-Type: application/x-www-form-urlencoded")
        .header(&format!("Origin: {}", inspector.url()))
        .header(&format!("Content-Length: {}", body.len()))
        .body(body)
        .send()
        .await
}

/// Where a redirect leads.
#[track_caller]
fn location(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{answer:?}");
    let line = answer.head.lines().find_map(|line| line.strip_prefix("location: "));
    line.unwrap_or_else(|| panic!("no location: {answer:?}")).to_owned()
}

const MARKUP: &str = "<script>alert('body')</script>&\"";

/// No page has the text of a message but escaped, or a script or a style of its own.
#[track_caller]
fn assert_escaped(page: &Answer) {
    assert!(!page.body.contains("<script>"), "{}", page.body);
    assert!(!page.body.contains("alert('"), "{}", page.body);
    for own in ["<style", " style=", " onclick=", "javascript:", "<script src=\"http", "//cdn"] {
        assert!(!page.body.contains(own), "{own}: {}", page.body);
    }
}

#[tokio::test]
async fn every_page_escapes_what_clients_have_sent() {
    let (broker, inspector) = start().await;
    let producer = producer(&broker).await;
    let message = order(MARKUP).tag(MARKUP).key("<script>alert('key')</script>");
    let receipt = producer.send(message.property("<script>", MARKUP)).await.unwrap();
    let hostile = "%3Cscript%3Ealert('x')%3C%2Fscript%3E";
    for path in ["/", "/topics/orders", "/messages", "/messages?topic=orders"] {
        let page = page(&inspector, path).await;
        assert!(page.body.contains("&#60;script&#62;alert("), "{path}: {}", page.body);
        assert_escaped(&page);
    }
    let found = get(&inspector, &format!("/messages/{}", receipt.message_id())).await;
    let address = location(&found);
    assert_eq!(address, "/topics/orders/0/0");
    let shown = page(&inspector, &address).await;
    assert_escaped(&shown);
    for text in [receipt.message_id(), receipt.offset_message_id(), "&#60;script&#62;alert("] {
        assert!(shown.body.contains(text), "{text}: {}", shown.body);
    }
    for path in ["/topics?q=", "/messages?topic=", "/faults?rule=", "/send?topic="] {
        assert_escaped(&page(&inspector, &format!("{path}{hostile}")).await);
    }
    for path in ["/topics/", "/find?id=", "/messages/"] {
        assert_escaped(&get(&inspector, &format!("{path}{hostile}")).await.expect(404));
    }
    let nowhere = call(&inspector, "GET", &format!("/nowhere/{hostile}"));
    let nowhere = nowhere.header("Accept: text/html,*/*").send().await.expect(404);
    assert!(nowhere.body.contains("there is no /nowhere/"), "{nowhere:?}");
    assert_escaped(&nowhere);
    assert_escaped(&page(&inspector, "/clients").await);
}

#[tokio::test]
async fn the_overview_has_figures_addresses_and_the_newest_messages() {
    let (broker, inspector) = start().await;
    assert!(page(&inspector, "/").await.body.contains("Nothing is stored yet"));
    let producer = producer(&broker).await;
    for n in 0..25 {
        producer.send(order(format!("order number {n}"))).await.unwrap();
    }
    broker.put(NewMessage::new("payments", "a payment")).await.unwrap();
    let overview = page(&inspector, "/").await.body;
    assert!(overview.contains(&broker.name_server().to_string()), "{overview}");
    assert!(overview.contains("<b id=\"figure-stored\">26</b>"), "{overview}");
    for text in ["a payment", "order number 24", "order number 6<"] {
        assert!(overview.contains(text), "{text}: {overview}");
    }
    assert!(!overview.contains("order number 5<"), "{overview}");
}

#[tokio::test]
async fn topics_are_searched_by_name() {
    let (broker, inspector) = start().await;
    broker.put(NewMessage::new("payments", "x")).await.unwrap();
    let all = page(&inspector, "/topics").await.body;
    assert!(all.contains("/topics/orders") && all.contains("/topics/payments"), "{all}");
    let some = page(&inspector, "/topics?q=pay").await.body;
    assert!(!some.contains("/topics/orders") && some.contains("1 of 2 topics"), "{some}");
    assert!(!all.contains("SCHEDULE_TOPIC_XXXX"), "{all}");
    let system = page(&inspector, "/topics?system=1").await.body;
    assert!(system.contains("SCHEDULE_TOPIC_XXXX"), "{system}");
}

#[tokio::test]
async fn a_topic_is_paged_backwards_to_its_end() {
    let (broker, inspector) = start().await;
    for n in 0..120 {
        let message = NewMessage::new("orders", format!("body-{n}.")).queue(0);
        let message = if n == 3 { message.key("o-3") } else { message };
        broker.put(message).await.unwrap();
    }
    let mut path = "/topics/orders".to_owned();
    for (from, to, looked_at) in [(70, 119, 50), (20, 69, 50), (0, 19, 20)] {
        let shown = page(&inspector, &path).await.body;
        for n in 0..120 {
            let is_here = shown.contains(&format!("body-{n}."));
            assert_eq!(is_here, (from..=to).contains(&n), "{n} of {path}");
        }
        assert!(shown.contains(&format!("{looked_at} messages were looked at")), "{shown}");
        if from > 0 {
            path = between(&shown, "rel=\"next\" href=\"", "\"").replace("&#38;", "&");
        } else {
            assert!(!shown.contains("rel=\"next\""), "{shown}");
        }
    }
    let one = page(&inspector, "/topics/orders?key=o-3").await.body;
    assert!(one.contains("body-3.") && !one.contains("body-4."), "{one}");
    assert!(one.contains("120 messages were looked at"), "{one}");
    assert!(page(&inspector, "/topics/orders?tag=none").await.body.contains("No message fits"));
    for path in ["/topics/orders?from=x", "/topics/orders?queue=x", "/messages?key=a"] {
        let wrong = get(&inspector, path).await.expect(400);
        assert!(wrong.head.contains("text/html"), "{wrong:?}");
    }
}

/// A search for something that is not there looks at 10,000 messages, says so, and goes on from there.
#[tokio::test]
async fn no_page_looks_at_more_than_ten_thousand_messages() {
    let (broker, inspector) = start().await;
    let producer = producer(&broker).await;
    let batch = |first: u32| (first..first + 1_000).map(|n| Message::new("orders", n.to_string()));
    let mut first_id = None;
    for first in (0..15_000).step_by(1_000) {
        let receipts = producer.send_batch(batch(first).collect::<Vec<_>>()).await.unwrap();
        first_id.get_or_insert_with(|| receipts[0].message_id().to_owned());
    }
    broker.put(NewMessage::new("payments", "x")).await.unwrap();
    let shown = page(&inspector, "/topics/orders?key=none").await.body;
    assert!(shown.contains("10,000 messages were looked at"), "{shown}");
    let next = between(&shown, "rel=\"next\" href=\"", "\"").replace("&#38;", "&");
    assert!(next.contains("key=none"), "{next}");
    let shown = page(&inspector, &next).await.body;
    assert!(
        shown.contains("5,000 messages were looked at") && shown.contains("the end"),
        "{shown}"
    );

    let missing = get(&inspector, "/find?id=none").await.expect(404).body;
    assert!(missing.contains("10,000 messages were looked at"), "{missing}");
    let next = between(&missing, "class=\"button\" href=\"", "\"").replace("&#38;", "&");
    let missing = get(&inspector, &next).await.expect(404).body;
    assert!(missing.contains("5,001 messages were looked at"), "{missing}");
    // The oldest message is found in the second go.
    let path = format!("/find?id={}", first_id.unwrap());
    let not_yet = get(&inspector, &path).await.expect(404).body;
    let next = between(&not_yet, "class=\"button\" href=\"", "\"").replace("&#38;", "&");
    assert_eq!(location(&get(&inspector, &next).await), "/topics/orders/0/0");
}

#[tokio::test]
async fn a_message_is_found_by_either_id_and_its_body_is_a_file() {
    let (broker, inspector) = start().await;
    let producer = producer(&broker).await;
    let body = "{\"id\":1.10,\"to\":\"M\u{fc}ller\"}";
    let message = order(body).tag("new").key("o-1").property("colour", "it's red");
    let receipt = producer.send(message).await.unwrap();
    producer.send(order([0xff, 0, b'<'])).await.unwrap();
    for id in [receipt.message_id(), receipt.offset_message_id()] {
        let found = get(&inspector, &format!("/find?id={id}")).await;
        assert_eq!(location(&found), "/topics/orders/0/0", "{id}");
    }
    let shown = page(&inspector, "/topics/orders/0/0").await.body;
    for text in [
        "&#34;id&#34;: 1.10,\n",
        "00000000  7b 22 69 64",
        "send --tag=new --key=o-1 --header=&#39;colour=it&#39;\\&#39;&#39;s red&#39; -- orders",
        ".property(&#34;colour&#34;, &#34;it&#39;s red&#34;)",
        "message.putUserProperty(&#34;colour&#34;, &#34;it&#39;s red&#34;);",
    ] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    let file = get(&inspector, "/topics/orders/0/0/body").await.expect(200);
    assert_eq!(file.body, body);
    for header in [
        "content-type: application/octet-stream\r\n",
        "content-disposition: attachment; filename=\"body-0-0.bin\"\r\n",
        "x-content-type-options: nosniff\r\n",
    ] {
        assert!(file.head.contains(header), "{header}: {file:?}");
    }
    let binary = page(&inspector, "/topics/orders/0/1").await.body;
    assert!(binary.contains("00000000  ff 00 3c"), "{binary}");
    assert!(binary.contains("/topics/orders/0/1/body | posthaste"), "{binary}");
    // A flag is in no option of the command.
    producer.send(order("a \"b\"\n\\").flag(7)).await.unwrap();
    let flagged = page(&inspector, "/topics/orders/0/2").await.body;
    for text in [
        "printf &#39;%s\\n&#39; &#39;{&#34;body&#34;:&#34;a \\&#34;b\\&#34;\\n\\\\&#34;,&#34;flag&#34;:7,",
        "send --json -- orders",
        "Message::new(&#34;orders&#34;, &#34;a \\&#34;b\\&#34;\\n\\\\&#34;)\n    .flag(7);",
        "message.setFlag(7);",
    ] {
        assert!(flagged.contains(text), "{text}: {flagged}");
    }
    for path in ["/topics/orders/0/3", "/topics/orders/1/0", "/topics/none/0/0"] {
        get(&inspector, path).await.expect(404);
    }
    for path in ["/topics/orders/x/0", "/topics/orders/0/-1", "/topics/orders/99999/0"] {
        get(&inspector, path).await.expect(400);
    }
}

#[tokio::test]
async fn clients_and_their_groups_are_shown() {
    let (broker, inspector) = start().await;
    assert!(page(&inspector, "/clients").await.body.contains("Nobody is connected"));
    let producer = producer(&broker).await;
    producer.send(order("one")).await.unwrap();
    // Its first heartbeat may come after its first message.
    while !page(&inspector, "/clients").await.body.contains("<b>orders-service</b>") {}
    assert!(page(&inspector, "/clients").await.body.contains("RUST"));
}

#[tokio::test]
async fn the_send_form_stores_a_message() {
    let (broker, inspector) = start().await;
    let token = token(&page(&inspector, "/send?topic=orders").await);
    let filled = [
        ("token", &*token),
        ("topic", "orders"),
        ("body", "two\r\nlines"),
        ("tag", "new"),
        ("keys", "o-1  c-7"),
        ("properties", "colour=red\r\n\r\nsize=a=b\r\n"),
        ("queue", "0"),
        ("delay", ""),
    ];
    let stored = submit(&inspector, "/send", &filled);
    assert_eq!(location(&stored.await), "/topics/orders/0/0");
    let message = broker.messages("orders").await.unwrap().remove(0);
    assert_eq!((message.text(), message.tag.as_deref()), (Some("two\nlines"), Some("new")));
    assert_eq!(message.keys, ["o-1", "c-7"]);
    let properties = message.properties.iter().map(|(name, value)| (&**name, &**value));
    assert_eq!(properties.collect::<Vec<_>>(), [("colour", "red"), ("size", "a=b")]);

    let late = [("token", &*token), ("topic", "orders"), ("body", "late"), ("delay", "3600")];
    let late = location(&submit(&inspector, "/send", &late).await);
    // The head is in lower case here, and the id is not.
    let id = late.strip_prefix("/send?topic=orders&waits=").expect("a note").to_uppercase();
    let noted = page(&inspector, &format!("/send?topic=orders&waits={id}")).await.body;
    let waiting = between(
        &noted,
        "role=\"status\">Stored, and delivered once its delay has passed: <a href=\"",
        "\"",
    );
    let there = location(&get(&inspector, waiting).await);
    assert!(page(&inspector, &there).await.body.contains("It waits until "));

    for (field, value, said) in [
        ("topic", "", "the topic is missing"),
        ("topic", "a b", "the broker has refused it"),
        ("body", "", "the message has no body"),
        ("queue", "x", "the queue cannot be &#34;x&#34;"),
        ("queue", "7", "queueId[7] is illegal"),
        ("delay", "-1", "the delay is a number of seconds"),
        ("properties", "colour", "has no value; write NAME=VALUE"),
        ("properties", "KEYS=x", "belongs to the protocol"),
    ] {
        let mut fields = vec![("token", &*token), ("topic", "orders"), ("body", MARKUP)];
        fields.retain(|(name, _)| *name != field);
        fields.push((field, value));
        let refused = submit(&inspector, "/send", &fields).await.expect(400);
        assert!(refused.body.contains(said), "{said}: {}", refused.body);
        assert!(refused.body.contains(&format!("value=\"{value}\"")) || field != "topic");
        assert_escaped(&refused);
    }
    assert_eq!(broker.messages("orders").await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_rule_that_is_added_in_the_form_is_felt_by_a_producer_until_it_is_removed() {
    let (broker, inspector) = start().await;
    let producer = producer(&broker).await;
    let token = token(&page(&inspector, "/faults").await);
    let rule = "on=send topic=orders do=refuse code=TOPIC_NOT_EXIST";
    let added = submit(&inspector, "/faults", &[("token", &token), ("rule", rule)]).await;
    assert_eq!(location(&added), "/faults");
    let error = producer.send(order("one")).await.unwrap_err();
    assert!(!error.to_string().is_empty());
    assert_eq!(broker.messages("orders").await.unwrap(), []);
    let hits = broker.faults()[0].hits();
    assert!(hits > 0);
    let listed = page(&inspector, "/faults").await.body;
    assert!(listed.contains(rule), "{listed}");
    assert!(listed.contains(&format!("data-label=\"Hits\" class=\"number\">{hits}<")), "{listed}");
    for _ in 0..2 {
        let removed = submit(&inspector, "/faults/1/remove", &[("token", &token)]).await;
        assert_eq!(location(&removed), "/faults");
    }
    assert!(page(&inspector, "/faults").await.body.contains("There is no rule"));
    producer.send(order("two")).await.unwrap();

    for (rule, said) in [
        ("on=sned do=pass", "send"),
        ("on=send", "do="),
        ("on=send do=<script>", "&#60;script&#62;"),
    ] {
        let refused = submit(&inspector, "/faults", &[("token", &token), ("rule", rule)]).await;
        let refused = refused.expect(400);
        let alert = between(&refused.body, "role=\"alert\">", "</p>");
        assert!(alert.contains(said), "{rule}: {alert}");
        assert_escaped(&refused);
    }
    assert!(broker.faults().is_empty());
    for _ in 0..100 {
        broker.fault("on=connect do=pass".parse().unwrap()).unwrap();
    }
    let rule = [("token", &*token), ("rule", "on=connect do=pass")];
    let refused = submit(&inspector, "/faults", &rule).await.expect(400);
    assert!(refused.body.contains("at most 100 may be"), "{refused:?}");
}

#[tokio::test]
async fn every_rule_that_is_offered_is_one_that_is_taken() {
    let (broker, inspector) = start().await;
    let shown = page(&inspector, "/faults").await;
    let token = token(&shown);
    let rules: Vec<_> = shown.body.split("<li><a href=\"/faults?rule=").skip(1).collect();
    assert!(rules.len() >= 5, "{}", shown.body);
    for rule in &rules {
        let rule = between(rule, "<code>", "</code>");
        let added = submit(&inspector, "/faults", &[("token", &token), ("rule", rule)]).await;
        assert_eq!(added.status, 303, "{rule}: {added:?}");
    }
    assert_eq!(broker.faults().len(), rules.len());
}

#[tokio::test]
async fn all_messages_are_cleared() {
    let (broker, inspector) = start().await;
    broker.put(NewMessage::new("orders", "x")).await.unwrap();
    let token = token(&page(&inspector, "/topics").await);
    assert_eq!(location(&submit(&inspector, "/clear", &[("token", &token)]).await), "/topics");
    assert_eq!(broker.messages("orders").await.unwrap(), []);
}

#[tokio::test]
async fn a_form_without_the_token_of_this_run_changes_nothing() {
    let (broker, inspector) = start().await;
    broker.put(NewMessage::new("orders", "kept")).await.unwrap();
    broker.fault("on=connect do=pass".parse().unwrap()).unwrap();
    let (_other_broker, other) = start().await;
    let other = token(&page(&other, "/send").await);
    for (path, fields) in [
        ("/send", &[("topic", "orders"), ("body", "x")][..]),
        ("/faults", &[("rule", "on=send do=pass")]),
        ("/faults/1/remove", &[]),
        ("/clear", &[]),
    ] {
        for token in ["", other.as_str()] {
            let fields = [fields, &[("token", token)]].concat();
            let refused = submit(&inspector, path, &fields).await.expect(403);
            assert!(refused.body.contains("not of this run of the server"), "{refused:?}");
        }
        submit(&inspector, path, fields).await.expect(403);
        // With the token, and from elsewhere.
        let token = format!("token={}", token(&page(&inspector, "/send").await));
        let form = "Content-Type: application/x-www-form-urlencoded";
        let length = format!("Content-Length: {}", token.len());
        let elsewhere = |header: &str| {
            let post = call(&inspector, "POST", path).header(form).header(&length);
            post.header(header).body(token.clone()).send()
        };
        elsewhere("Origin: http://evil.example").await.expect(403);
        elsewhere("Origin: null").await.expect(403);
        elsewhere("X-No: origin").await.expect(415);
    }
    assert_eq!(broker.messages("orders").await.unwrap().len(), 1);
    assert_eq!(broker.faults().len(), 1);
}

#[tokio::test]
async fn requests_and_answers_are_shown_once_the_page_was_looked_at() {
    let (broker, inspector) = start().await;
    assert!(page(&inspector, "/wire").await.body.contains("Nothing was recorded yet"));
    let producer = producer(&broker).await;
    producer.send(order(MARKUP).tag(MARKUP)).await.unwrap();
    broker
        .fault("on=send do=refuse code=MESSAGE_ILLEGAL remark=\"not today\"".parse().unwrap())
        .unwrap();
    producer.send(order("refused")).await.unwrap_err();
    let shown = page(&inspector, "/wire").await;
    assert_escaped(&shown);
    for text in
        ["<b>SEND_MESSAGE_V2 (310)</b>", "→ SUCCESS (0)", "MESSAGE_ILLEGAL (13)", "not today"]
    {
        assert!(shown.body.contains(text), "{text}: {}", shown.body);
    }
    let one = between(&shown.body, "of <a href=\"", "\"");
    assert!(one.starts_with("/wire?connection="), "{one}");
    let one = page(&inspector, one).await.body;
    assert!(one.contains("All connections") && one.contains("SEND_MESSAGE_V2 (310)"), "{one}");
    get(&inspector, "/wire?connection=999").await.expect(404);
    get(&inspector, "/wire?connection=x").await.expect(400);
}

/// The next event of a stream that has this name: its data.
async fn event(stream: &mut TcpStream, seen: &mut String, name: &str) -> String {
    let begin = format!("event: {name}\n");
    loop {
        if let Some((_, rest)) = seen.split_once(&begin)
            && let Some((event, rest)) = rest.split_once("\n\n")
        {
            let data: Vec<_> =
                event.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
            let data = data.join("\n");
            *seen = rest.to_owned();
            return data;
        }
        let mut bytes = [0; 4_096];
        let read = tokio::time::timeout(HANG, stream.read(&mut bytes)).await.expect("an event");
        let read = read.unwrap();
        assert!(read > 0, "the stream has ended: {seen}");
        // Chunks of the body are cut between events.
        let text = String::from_utf8(bytes[..read].to_vec()).unwrap().replace("\r\n", "\n");
        seen.push_str(&text);
    }
}

#[tokio::test]
async fn a_live_page_begins_with_the_newest_messages_and_gets_each_that_follows() {
    let (broker, inspector) = start().await;
    broker.put(NewMessage::new("orders", "before").key("o-1")).await.unwrap();
    let mut all = call(&inspector, "GET", "/live/messages").begin().await;
    let narrow = "/live/messages?topic=orders&key=o-1";
    let mut narrow = call(&inspector, "GET", narrow).begin().await;
    let (mut seen, mut seen_narrow) = (String::new(), String::new());
    let newest = event(&mut all, &mut seen, "newest").await;
    assert!(newest.contains(">before<"), "{newest}");
    event(&mut narrow, &mut seen_narrow, "newest").await;
    broker.put(NewMessage::new("payments", MARKUP)).await.unwrap();
    let row = event(&mut all, &mut seen, "rows").await;
    assert!(row.contains("&#60;script&#62;alert("), "{row}");
    broker.put(NewMessage::new("orders", "other").key("o-2")).await.unwrap();
    broker.put(NewMessage::new("orders", "mine").key("o-1")).await.unwrap();
    let row = event(&mut narrow, &mut seen_narrow, "rows").await;
    assert!(row.contains(">mine<") && !row.contains(">other<"), "{row}");
    assert!(!row.contains(">before<"), "{row}");
}

#[tokio::test]
async fn a_live_page_says_how_many_messages_it_did_not_show() {
    let (broker, inspector) = start().await;
    let producer = producer(&broker).await;
    let mut live = call(&inspector, "GET", "/live/messages").begin().await;
    let mut seen = String::new();
    event(&mut live, &mut seen, "newest").await;
    let batch: Vec<_> = (0..500).map(|n| Message::new("orders", n.to_string())).collect();
    producer.send_batch(batch).await.unwrap();
    assert_eq!(event(&mut live, &mut seen, "skipped").await, "450");
    let rows = event(&mut live, &mut seen, "rows").await;
    assert_eq!(rows.matches("<tr>").count(), 50);
    // Later ones are shown again.
    producer.send(order("late")).await.unwrap();
    assert!(event(&mut live, &mut seen, "rows").await.contains(">late<"));
}

#[tokio::test]
async fn figures_come_every_second() {
    let (broker, inspector) = start().await;
    let mut live = call(&inspector, "GET", "/live/figures").begin().await;
    let mut seen = String::new();
    let all: serde_json::Value =
        serde_json::from_str(&event(&mut live, &mut seen, "all").await).unwrap();
    assert!(all.is_array(), "{all}");
    broker.put(NewMessage::new("orders", "x")).await.unwrap();
    loop {
        let sample = event(&mut live, &mut seen, "sample").await;
        let sample: serde_json::Value = serde_json::from_str(&sample).unwrap();
        if sample["stored"] == 1 {
            break;
        }
    }
}

/// Places are given back: a reader that goes leaves one to the next.
#[tokio::test]
async fn streams_are_so_many_and_no_more() {
    let (_broker, inspector) = start().await;
    let stream = || call(&inspector, "GET", "/live/messages");
    let mut streams = Vec::new();
    for _ in 0..32 {
        let mut opened = stream().begin().await;
        event(&mut opened, &mut String::new(), "newest").await;
        streams.push(opened);
    }
    let refused = stream().send().await.expect(503);
    assert!(refused.body.contains("32 pages are live already"), "{refused:?}");
    drop(streams);
    loop {
        let mut opened = stream().begin().await;
        let mut answer = [0; 12];
        opened.read_exact(&mut answer).await.unwrap();
        if &answer == b"HTTP/1.1 200" {
            break;
        }
    }
}

#[tokio::test]
async fn files_of_the_pages_have_their_types() {
    let (_broker, inspector) = start().await;
    for (name, kind) in [
        ("inspector.css", "text/css"),
        ("inspector.js", "text/javascript"),
        ("uplot.js", "text/javascript"),
        ("uplot.css", "text/css"),
        ("icon.svg", "image/svg+xml"),
        ("uplot.LICENSE", "text/plain"),
    ] {
        let file = get(&inspector, &format!("/assets/{name}")).await.expect(200);
        assert!(file.head.contains(&format!("content-type: {kind}")), "{name}: {}", file.head);
        assert!(!file.body.is_empty());
    }
    get(&inspector, "/assets/none").await.expect(404);
    get(&inspector, "/assets/..%2finspector.css").await.expect(404);
}
