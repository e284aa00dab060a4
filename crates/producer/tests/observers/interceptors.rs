//! Interceptors see every attempt, may veto it, and add properties.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use posthaste::{
    Attempt, ErrorKind, Interceptor, Message, Outcome, Producer, ProducerBuilder, Receipt,
    SendAttempt, TransactionEnd, TransactionState,
};

use crate::fake::{Action, Broker, HANG, NameServer, Seen, assert_all_ended, lock, producer, soon};

/// What was noted, in order.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn add(&self, note: impl Into<String>) {
        lock(&self.0).push(note.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.0))
    }
}

/// Notes all that it sees, under a name.
struct Noting(&'static str, Notes);

impl Noting {
    fn note(&self, note: &str) {
        self.1.add(format!("{} {note}", self.0));
    }
}

fn text(message: &Message) -> String {
    String::from_utf8_lossy(message.body()).into_owned()
}

impl Interceptor for Noting {
    fn before_attempt(&self, attempt: &mut SendAttempt<'_>) -> Result<(), String> {
        let (number, broker) = (attempt.number(), attempt.broker());
        self.note(&format!("before {} {number} at {broker}", text(attempt.message())));
        Ok(())
    }

    fn stored(&self, message: &Message, receipt: &Receipt) {
        self.note(&format!("stored {} at {}", text(message), receipt.queue_offset()));
    }

    fn written(&self, message: &Message, message_id: &str) {
        self.note(&format!("written {} {}", text(message), message_id.len()));
    }

    fn transaction_ends(&self, end: &TransactionEnd<'_>) {
        let (topic, state, check) = (end.topic(), end.state(), end.is_from_check());
        let same = end.transaction_id() == Some(end.message_id());
        let address = !end.address().is_empty();
        self.note(&format!("{state} {topic} from check {check}, ids {same}, address {address}"));
    }

    fn attempt_failed(&self, message: &Message, message_id: &str, attempt: &Attempt) {
        let (id, kind) = (message_id.len(), attempt.kind);
        self.note(&format!("failed {} {id} at {}: {kind}", text(message), attempt.broker));
    }
}

/// Decides by a function; sees nothing else.
struct Deciding<F>(F);

impl<F> Interceptor for Deciding<F>
where
    F: Fn(&mut SendAttempt<'_>) -> Result<(), String> + Send + Sync + 'static,
{
    fn before_attempt(&self, attempt: &mut SendAttempt<'_>) -> Result<(), String> {
        (self.0)(attempt)
    }
}

/// Panics wherever it can.
struct Panicking;

impl Interceptor for Panicking {
    fn before_attempt(&self, attempt: &mut SendAttempt<'_>) -> Result<(), String> {
        attempt.set_property("before-the-panic", "1").unwrap();
        panic!("in an interceptor, on purpose");
    }

    fn stored(&self, _: &Message, _: &Receipt) {
        panic!("in an interceptor, on purpose");
    }

    fn written(&self, _: &Message, _: &str) {
        panic!("in an interceptor, on purpose");
    }

    fn attempt_failed(&self, _: &Message, _: &str, _: &Attempt) {
        panic!("in an interceptor, on purpose");
    }

    fn transaction_ends(&self, _: &TransactionEnd<'_>) {
        panic!("in an interceptor, on purpose");
    }
}

/// A broker with one queue, its name server, and a producer as `build` has it.
async fn one(build: impl FnOnce(ProducerBuilder) -> ProducerBuilder) -> (Broker, Producer) {
    let broker = Broker::start("a").await;
    let server = NameServer::of(&[&broker], 1).await;
    let producer = build(producer(&[&server])).start().await.unwrap();
    (broker, producer)
}

#[tokio::test]
async fn each_sees_every_attempt_in_the_order_in_which_they_were_given() {
    let notes = Notes::default();
    let (broker, producer) = one(|builder| {
        builder.interceptor(Noting("1", notes.clone())).interceptor(Noting("2", notes.clone()))
    })
    .await;
    broker.first([Action::refuse(14, "stopping"), Action::refuse(2, "busy")]);
    soon(producer.send(Message::new("t", "x"))).await.unwrap();
    // A busy broker's refusal is no failure of the attempt, and begins no other.
    let expected = [
        "1 before x 1 at a",
        "2 before x 1 at a",
        "1 failed x 32 at a: the broker cannot store messages now",
        "2 failed x 32 at a: the broker cannot store messages now",
        "1 before x 2 at a",
        "2 before x 2 at a",
        "1 stored x at 0",
        "2 stored x at 0",
    ];
    assert_eq!(notes.take(), expected);
    assert_eq!(broker.seen_count(), 3);
    soon(producer.send_oneway(Message::new("t", "y"))).await.unwrap();
    let expected = ["1 before y 1 at a", "2 before y 1 at a", "1 written y 32", "2 written y 32"];
    assert_eq!(notes.take(), expected);
    assert_all_ended(&producer);
}

#[tokio::test]
async fn an_attempt_says_where_it_goes() {
    let notes = Notes::default();
    let seen = notes.clone();
    let (broker, producer) = one(|builder| {
        builder.interceptor(Deciding(move |attempt: &mut SendAttempt<'_>| {
            let (topic, broker) = (attempt.topic(), attempt.broker());
            seen.add(format!("{topic} {broker} {}", attempt.address()));
            seen.add(attempt.message_id());
            Ok(())
        }))
    })
    .await;
    let receipt = soon(producer.send(Message::new("t", "x"))).await.unwrap();
    let expected = [format!("t a {}", broker.address()), receipt.message_id().to_owned()];
    assert_eq!(notes.take(), expected);
}

#[tokio::test]
async fn what_is_added_travels_once_in_every_attempt() {
    let (broker, producer) = one(|builder| {
        let setting = |attempt: &mut SendAttempt<'_>| {
            assert_eq!(attempt.added_property("try").is_some(), attempt.number() > 1);
            attempt.set_property("try", format!("{}", attempt.number()))?;
            attempt.set_property("own", "replaced")?;
            if attempt.number() == 1 {
                attempt.set_property("kept", "yes")?;
            }
            Ok(())
        };
        builder.interceptor(Deciding(setting))
    })
    .await;
    broker.first([Action::refuse(14, "stopping"), Action::close()]);
    let message = Message::new("t", "x").property("own", "mine").property("other", "mine");
    soon(producer.send(message)).await.unwrap();
    let seen = broker.seen();
    let values =
        |name: &str| -> Vec<Vec<&str>> { seen.iter().map(|seen| seen.values(name)).collect() };
    assert_eq!(values("try"), [["1"], ["2"], ["3"]]);
    assert_eq!(values("own"), [["replaced"]; 3]);
    assert_eq!(values("other"), [["mine"]; 3]);
    assert_eq!(values("kept"), [["yes"]; 3]);
    assert_eq!(values("UNIQ_KEY").concat().len(), 3);
}

#[tokio::test]
async fn an_error_gives_the_message_back_as_it_was_made() {
    let (broker, producer) = one(|builder| {
        builder.interceptor(Deciding(|attempt: &mut SendAttempt<'_>| {
            attempt.set_property("added", "1")
        }))
    })
    .await;
    broker.always(Action::refuse(13, "illegal"));
    let error = soon(producer.send(Message::new("t", "x").property("own", "1"))).await.unwrap_err();
    assert_eq!(broker.seen()[0].values("added"), ["1"]);
    let message = error.into_message();
    assert_eq!(message.properties().collect::<Vec<_>>(), [("own", "1")]);
}

#[tokio::test]
async fn properties_are_checked_like_those_of_the_application() {
    let notes = Notes::default();
    let seen = notes.clone();
    let (broker, producer) = one(|builder| {
        builder.interceptor(Deciding(move |attempt: &mut SendAttempt<'_>| {
            let long = "v".repeat(20_000);
            for (name, value) in [
                ("TAGS", "reserved"),
                ("", "no name"),
                ("n", " "),
                ("n", "a\u{2}b"),
                ("fits", &long),
                ("n", &long),
            ] {
                match attempt.set_property(name, value) {
                    Ok(()) => seen.add("good"),
                    Err(reason) => seen.add(reason),
                }
            }
            Ok(())
        }))
    })
    .await;
    soon(producer.send(Message::new("t", "x"))).await.unwrap();
    let notes = notes.take();
    let words = ["has a meaning", "empty name", "empty name", "byte 1 or 2", "good", "more than"];
    assert_eq!(notes.len(), words.len());
    for (note, words) in notes.iter().zip(words) {
        assert!(note.contains(words), "{note}");
    }
    let seen = &broker.seen()[0];
    assert_eq!((seen.values("fits").len(), seen.values("n").len()), (1, 0));
}

#[tokio::test]
async fn a_veto_ends_the_send_and_nothing_is_sent() {
    let notes = Notes::default();
    let (broker, producer) = one(|builder| {
        let veto = |attempt: &mut SendAttempt<'_>| match attempt.message().tag_text() {
            Some("bad") => attempt.set_property("TAGS", "x"),
            _ => Ok(()),
        };
        builder.interceptor(Deciding(veto)).interceptor(Noting("2", notes.clone()))
    })
    .await;
    let error = soon(producer.send(Message::new("t", "x").tag("bad"))).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Vetoed, Outcome::NotStored));
    assert!(error.to_string().contains("property `TAGS` has a meaning"), "{error}");
    assert!(error.attempts().is_empty());
    assert_eq!(notes.take(), [] as [&str; 0], "nobody else is asked");
    let error = soon(producer.send_oneway(Message::new("t", "x").tag("bad"))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Vetoed);
    assert_eq!(broker.seen_count(), 0);
    soon(producer.send(Message::new("t", "x"))).await.unwrap();
    assert_all_ended(&producer);
}

/// What an earlier attempt may have stored does not become *not stored* by a veto.
#[tokio::test]
async fn a_veto_to_a_retry_tells_the_truth() {
    let (broker, producer) = one(|builder| {
        builder.interceptor(Deciding(|attempt: &mut SendAttempt<'_>| match attempt.number() {
            1 => Ok(()),
            _ => Err("once is enough".into()),
        }))
    })
    .await;
    broker.always(Action::store_and_close());
    let error = soon(producer.send(Message::new("t", "x"))).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Vetoed, Outcome::Unknown));
    assert_eq!(error.attempts().len(), 1);
    assert_eq!(broker.stored_count(), 1);
    assert_all_ended(&producer);
}

/// In order means that nothing passes a message that was stopped, among those accepted before.
#[tokio::test]
async fn a_veto_to_an_ordered_message_fails_those_behind_it() {
    let (broker, producer) = one(|builder| {
        builder.interceptor(Deciding(|attempt: &mut SendAttempt<'_>| {
            match attempt.message().tag_text() {
                Some("bad") => Err("bad".into()),
                _ => Ok(()),
            }
        }))
    })
    .await;
    broker.script(|_| Action::ok().at_the_gate());
    let message = |text: &'static str| Message::new("t", text).order_by("k");
    let mut deliveries = Vec::new();
    for message in [message("1"), message("2").tag("bad"), message("3")] {
        deliveries.push(producer.enqueue(message).await.unwrap());
    }
    broker.open_gate(3);
    let mut kinds = Vec::new();
    for delivery in deliveries {
        kinds.push(soon(delivery).await.map(drop).map_err(|error| error.kind()));
    }
    assert_eq!(kinds, [Ok(()), Err(ErrorKind::Vetoed), Err(ErrorKind::EarlierFailed)]);
    soon(producer.send(message("4"))).await.unwrap();
    let texts: Vec<String> = broker.stored().iter().map(Seen::text).collect();
    assert_eq!(texts, ["1", "4"]);
    assert_all_ended(&producer);
}

#[tokio::test]
async fn a_panic_is_contained_and_counts_as_no_veto() {
    let notes = Notes::default();
    let (broker, producer) =
        one(|builder| builder.interceptor(Panicking).interceptor(Noting("2", notes.clone()))).await;
    broker.first([Action::refuse(14, "stopping")]);
    soon(producer.send(Message::new("t", "x"))).await.unwrap();
    soon(producer.send_oneway(Message::new("t", "y"))).await.unwrap();
    soon(producer.send(Message::new("t", "z"))).await.unwrap();
    let notes = notes.take();
    assert_eq!(notes.iter().filter(|note| note.contains("before")).count(), 4, "{notes:?}");
    assert_eq!(notes.iter().filter(|note| note.contains("stored")).count(), 2, "{notes:?}");
    assert_eq!(broker.stored()[0].values("before-the-panic"), ["1"]);
    assert_all_ended(&producer);
}

#[tokio::test]
async fn of_a_batch_each_message_is_seen_and_may_be_added_to() {
    let notes = Notes::default();
    let (broker, producer) = one(|builder| {
        let setting = |attempt: &mut SendAttempt<'_>| {
            let text = text(attempt.message());
            if text == "bad" {
                return Err("bad".into());
            }
            attempt.set_property("added", format!("to {text}"))
        };
        builder.interceptor(Deciding(setting)).interceptor(Noting("2", notes.clone()))
    })
    .await;
    broker.first([Action::refuse(14, "stopping")]);
    let batch = ["x", "y", "z"].map(|text| Message::new("t", text));
    let receipts = soon(producer.send_batch(batch.clone())).await.unwrap();
    let added: Vec<String> =
        broker.seen().iter().flat_map(|seen| seen.values("added")).map(str::to_owned).collect();
    assert_eq!(added, ["to x", "to y", "to z", "to x", "to y", "to z"]);
    let notes = notes.take();
    assert_eq!(notes[..3], ["2 before x 1 at a", "2 before y 1 at a", "2 before z 1 at a"]);
    assert_eq!(notes[6..9], ["2 before x 2 at a", "2 before y 2 at a", "2 before z 2 at a"]);
    assert_eq!(notes[9..], ["2 stored x at 0", "2 stored y at 1", "2 stored z at 2"]);
    assert_eq!(receipts.len(), 3);
    let [x, _, z] = batch;
    let error = soon(producer.send_batch([x, Message::new("t", "bad"), z])).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Vetoed, Outcome::NotStored));
    assert_eq!(error.into_messages().len(), 3);
    assert_eq!(broker.stored_count(), 3);
    assert_all_ended(&producer);
}

fn adding(bytes: usize) -> impl Interceptor {
    Deciding(move |attempt: &mut SendAttempt<'_>| attempt.set_property("added", "v".repeat(bytes)))
}

/// What a broker stores of these messages.
fn stored_bytes(messages: &[Seen]) -> usize {
    let one = |seen: &Seen| 91 + seen.topic.len() + seen.body.len() + seen.wire.len();
    messages.iter().map(one).sum()
}

#[tokio::test]
async fn what_is_added_counts_in_the_size_of_a_batch() {
    const BATCH: usize = 1 << 20;
    let (broker, producer) = one(|builder| builder.interceptor(adding(20_000)).max_window(1)).await;
    let requests = Arc::new(Mutex::new(Vec::new()));
    let noted = requests.clone();
    broker.script_requests(move |messages| {
        lock(&noted).push((messages.len(), stored_bytes(messages)));
        Action::ok()
    });
    // The others wait behind the first, which is not even read yet.
    broker.read(false);
    let mut deliveries = Vec::new();
    for n in 0..200 {
        deliveries.push(producer.enqueue(Message::new("t", n.to_string())).await.unwrap());
    }
    broker.read(true);
    for delivery in deliveries {
        soon(delivery).await.unwrap();
    }
    let requests = lock(&requests).clone();
    // Without what is added, all of them would fit in one.
    assert!(requests.iter().all(|(_, bytes)| *bytes <= BATCH), "{requests:?}");
    assert!(requests.iter().any(|(_, bytes)| *bytes > BATCH - 21_000), "{requests:?}");
    assert!(requests.len() >= 4, "{requests:?}");
    assert_all_ended(&producer);
}

#[tokio::test]
async fn a_batch_that_grows_beyond_what_brokers_take_is_refused() {
    let (broker, producer) = one(|builder| builder.interceptor(adding(20_000))).await;
    let batch = || (0..4).map(|_| Message::new("t", vec![b'x'; 1 << 20])).collect::<Vec<_>>();
    let small = |mut batch: Vec<Message>| {
        batch.pop();
        batch
    };
    let mut fits = small(batch());
    fits.push(Message::new("t", vec![b'x'; (1 << 20) - 1000]));
    let error = soon(producer.send_batch(fits)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Invalid, Outcome::NotStored));
    assert!(error.to_string().contains("split the batch"), "{error}");
    assert_eq!(broker.seen_count(), 0);
    soon(producer.send_batch(small(batch()))).await.unwrap();
    assert_all_ended(&producer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_end_of_a_transaction_is_seen() {
    let soon_asked = Duration::from_millis(200);
    let broker = posthaste_broker::Broker::builder()
        .transaction_check_interval(soon_asked)
        .transaction_timeout(soon_asked);
    let broker = broker.start().await.unwrap();
    let notes = Notes::default();
    // A busy machine may be asked about the first two before it has ended them.
    let dropped = Arc::new(AtomicBool::new(false));
    let is_dropped = dropped.clone();
    let producer = Producer::builder("group", broker.name_server().to_string())
        .send_timeout(HANG)
        .interceptor(Panicking)
        .interceptor(Noting("1", notes.clone()))
        .transaction_checker(move |_| {
            let dropped = is_dropped.load(Ordering::Relaxed);
            async move { if dropped { TransactionState::Commit } else { TransactionState::Unknown } }
        })
        .start()
        .await
        .unwrap();
    let begin = || producer.begin(Message::new("t", "x"));
    let end = |state: &str, check: bool| {
        format!("1 {state} t from check {check}, ids true, address true")
    };
    soon(soon(begin()).await.unwrap().commit()).await.unwrap();
    assert!(notes.take().contains(&end("commit", false)));
    soon(soon(begin()).await.unwrap().rollback()).await.unwrap();
    assert!(notes.take().contains(&end("rollback", false)));
    dropped.store(true, Ordering::Relaxed);
    drop(soon(begin()).await.unwrap());
    let expected = end("commit", true);
    crate::fake::until("it is asked for", || lock(&notes.0).contains(&expected)).await;
}
