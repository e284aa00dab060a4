//! Pages of messages.

use posthaste::{Batch, Message, Producer};
use posthaste_broker::{Broker, Page, PageOf, Position};

use crate::{start, to_queue};

/// Reads to the end; gives back the pages.
async fn to_the_end(broker: &Broker, of: PageOf) -> Vec<Page> {
    let mut pages = Vec::new();
    let mut next = of.clone();
    loop {
        let page = broker.page(next).await.unwrap();
        // As it travels in a link.
        let position: Position = page.next.to_string().parse().unwrap();
        assert_eq!(position, page.next);
        next = of.clone().from(position);
        pages.push(page);
        if pages.last().unwrap().is_end {
            return pages;
        }
    }
}

fn bodies(pages: &[Page]) -> Vec<u32> {
    let messages = pages.iter().flat_map(|page| &page.messages);
    messages.map(|message| message.text().unwrap().parse().unwrap()).collect()
}

async fn send_all(producer: &Producer, count: u32) {
    for n in 0..count {
        producer.send(to_queue((n % 3) as i32, n.to_string())).await.unwrap();
    }
}

#[tokio::test]
async fn pages_have_every_message_once_in_either_direction() {
    let (broker, producer) = start().await;
    send_all(&producer, 100).await;
    let of = PageOf::topic("orders").count(7);
    let upwards = to_the_end(&broker, of.clone()).await;
    let downwards = to_the_end(&broker, of.clone().newest_first()).await;
    for (what, pages, newest_first) in [("up", upwards, false), ("down", downwards, true)] {
        assert!(pages.iter().all(|page| page.messages.len() <= 7), "{what}");
        assert_eq!(pages.iter().map(|page| page.looked_at).sum::<usize>(), 100, "{what}");
        let messages: Vec<_> = pages.iter().flat_map(|page| &page.messages).collect();
        let mut times: Vec<_> = messages.iter().map(|message| message.stored_at).collect();
        for queue in 0..3 {
            let of_queue = messages.iter().filter(|message| message.queue == queue);
            let mut offsets: Vec<_> = of_queue.map(|message| message.offset).collect();
            if newest_first {
                offsets.reverse();
            }
            assert!(offsets.iter().copied().eq(0..offsets.len() as u64), "{what} {queue}");
        }
        if newest_first {
            times.reverse();
        }
        assert!(times.is_sorted(), "{what}");
        let mut all = bodies(&pages);
        all.sort_unstable();
        assert!(all.into_iter().eq(0..100), "{what}");
    }
    let of_one = to_the_end(&broker, of.clone().queue(1)).await;
    assert!(bodies(&of_one).into_iter().eq((0..100).filter(|n| n % 3 == 1)));
    assert!(bodies(&to_the_end(&broker, of.queue(9)).await).is_empty());
}

#[tokio::test]
async fn later_messages_are_found_from_the_end_on() {
    let (broker, producer) = start().await;
    send_all(&producer, 10).await;
    let end = to_the_end(&broker, PageOf::topic("orders")).await.pop().unwrap();
    producer.send(to_queue(0, "77".to_owned())).await.unwrap();
    producer.send(to_queue(3, "78".to_owned())).await.unwrap();
    let later = broker.page(PageOf::topic("orders").from(end.next)).await.unwrap();
    let mut found = bodies(&[later]);
    found.sort_unstable();
    assert_eq!(found, [77, 78]);
}

#[tokio::test]
async fn a_search_looks_at_10_000_messages_at_once_and_says_where_it_stopped() {
    let (broker, producer) = start().await;
    let mut batch = Vec::new();
    for n in 0..12_000 {
        let message = Message::new("orders", n.to_string());
        batch.push(if n == 11_000 { message.tag("rare").keys(["a", "b"]) } else { message });
        if batch.len() == 1_000 {
            producer.send_batch(Batch::from(std::mem::take(&mut batch))).await.unwrap();
        }
    }
    let rare = PageOf::topic("orders").tag("rare");
    for of in [rare.clone(), rare.clone().newest_first(), PageOf::topic("orders").key("b")] {
        let pages = to_the_end(&broker, of).await;
        let looked_at: Vec<_> = pages.iter().map(|page| page.looked_at).collect();
        assert_eq!(looked_at, [10_000, 2_000]);
        assert_eq!(bodies(&pages), [11_000]);
    }
    for nothing in [rare.key("c"), PageOf::topic("orders").key("a b")] {
        assert!(bodies(&to_the_end(&broker, nothing).await).is_empty());
    }
    assert_eq!(broker.messages("orders").await.unwrap().len(), 12_000);
}

#[tokio::test]
async fn a_page_ends_when_its_unpacked_bodies_are_long() {
    const LONG: usize = 3 * 1024 * 1024;
    let (broker, producer) = start().await;
    for n in 0..14 {
        let body = format!("{n:03}{}", " ".repeat(LONG));
        producer.send(to_queue(n % 3, body)).await.unwrap();
    }
    for newest_first in [false, true] {
        let of = PageOf::topic("orders");
        let of = if newest_first { of.newest_first() } else { of };
        let pages = to_the_end(&broker, of).await;
        // 16 MiB are reached with the sixth.
        let counts: Vec<_> = pages.iter().map(|page| page.messages.len()).collect();
        assert_eq!(counts, [6, 6, 2]);
        let messages = pages.iter().flat_map(|page| &page.messages);
        assert!(messages.clone().all(|message| !message.is_compressed));
        let mut numbers: Vec<_> = messages.map(|it| it.text().unwrap()[..3].to_owned()).collect();
        numbers.sort_unstable();
        let all: Vec<_> = (0..14).map(|n| format!("{n:03}")).collect();
        assert_eq!(numbers, all, "each once");
    }
    assert_eq!(broker.messages("orders").await.unwrap().len(), 14);
}
