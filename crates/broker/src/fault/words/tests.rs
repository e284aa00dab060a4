//! Rules in words: what is read, what is written, and what is refused.

use std::time::Duration;

use proptest::option;
use proptest::prelude::*;

use super::*;
use crate::fault::SendKind;

fn read(text: &str) -> Result<Fault, String> {
    text.parse().map_err(|error: FaultError| error.to_string())
}

#[test]
fn rules_are_read() {
    let busy = ResponseCode::SYSTEM_BUSY;
    let second = Duration::from_secs(1);
    for (text, fault) in [
        (
            "on=send topic=orders first=3 do=refuse code=SYSTEM_BUSY",
            Fault::on(On::Send).topic("orders").first(3).refuse(busy),
        ),
        ("on=send kind=one-way queue=1 do=close", Fault::on(On::Send.one_way()).queue(1).close()),
        (
            r#"  do=refuse   code=2 remark="not \"now\"" on=310"#,
            Fault::on(On::Code(310)).refuse(busy).remark("not \"now\""),
        ),
        (
            "on=send every=10 point=after-store do=no-answer",
            Fault::on(On::Send).every(10).after_store().no_answer(),
        ),
        (
            "on=send probability=0.01 seed=7 for=1m do=delay by=1000ms",
            Fault::on(On::Send).with_probability(0.01, 7).for_time(second * 60).delay(second),
        ),
        ("on=route do=stale-by by=1s", Fault::on(On::Route).stale_by(second)),
        (
            "on=route do=another-address address=127.0.0.1:1",
            Fault::on(On::Route).another_address("127.0.0.1:1"),
        ),
        ("on=connect port=9876 do=reset", Fault::on(On::Connect).port(9876).reset()),
        (
            "on=send do=delay by=1s jitter=200ms",
            Fault::on(On::Send).delay(second).jitter(second / 5),
        ),
        ("on=send do=slow-close by=1s", Fault::on(On::Send).slow_close(second)),
        ("on=send do=cut-request-after bytes=9", Fault::on(On::Send).cut_request_after(9)),
        (
            "on=connect for=1s do=stop-reading",
            Fault::on(On::Connect).for_time(second).stop_reading(),
        ),
        ("on=connect do=read-at rate=9", Fault::on(On::Connect).read_at(9)),
        ("on=connect do=write-at rate=9", Fault::on(On::Connect).write_at(9)),
    ] {
        assert_eq!(read(text), Ok(fault.clone()), "{text}");
        assert_eq!(read(&fault.to_string()), Ok(fault), "{text}");
    }
    let json =
        r#"{"on": "send", "first": 3, "probability": 0.5, "seed": 7, "do": "refuse", "code": 2}"#;
    let fault: Fault = serde_json::from_str(json).expect("a rule");
    assert_eq!(fault, Fault::on(On::Send).first(3).with_probability(0.5, 7).refuse(busy));
}

#[test]
fn what_is_not_known_is_told_with_what_there_is() {
    for (text, parts) in [
        (
            "on=send topc=orders do=pass",
            ["\"topc\" is no word", "perhaps topic; there is: on, kind"],
        ),
        ("on=sent do=pass", ["\"sent\" is no value of on", "perhaps send; there is: send, route"]),
        ("on=send do=refues", ["\"refues\" is no value of do", "perhaps refuse; there is: refuse"]),
        ("on=send do=refuse code=SYSTEM_BUZY", ["is no code", "perhaps SYSTEM_BUSY"]),
        ("on=send kind=batches do=pass", ["no kind of send", "single, batch, one-way"]),
        ("on=send point=store do=pass", ["no point", "before-store, after-store"]),
        ("do=pass", ["which requests it is for", "there is: send, route"]),
        ("on=send", ["what it does", "there is: refuse, status"]),
        ("on=send do=refuse", ["do=refuse needs code=SYSTEM_BUSY", ""]),
        ("on=send do=delay", ["do=delay needs by=200ms", ""]),
        ("on=send do=read-at", ["do=read-at needs rate=1000", ""]),
        ("on=send do=slow-close", ["do=slow-close needs by=2s", ""]),
        ("on=send do=close code=2", ["do=close has no code", ""]),
        ("on=send on=send do=pass", ["on is said twice", ""]),
        ("on=send first=many do=pass", ["first=many is no number", ""]),
        ("on=send queue=65536 do=pass", ["queue=65536 is no number that fits", ""]),
        ("on=send seed=1 do=pass", ["a seed is for a probability", ""]),
        ("on=send do=delay by=1", ["by=1 is no time", "200ms"]),
        ("on=send pass", ["\"pass\" has no value", ""]),
        ("on=send topic=\"orders do=pass", ["the quotes of topic do not end", ""]),
    ] {
        let error = read(text).expect_err(text);
        assert!(parts.iter().all(|part| error.contains(part)), "{text}: {error}");
    }
    let error = serde_json::from_str::<Fault>(r#"{"on": "send", "topc": "orders", "do": "pass"}"#);
    let error = error.expect_err("a misspelt member").to_string();
    assert!(error.contains("\"topc\" is no word"), "{error}");
}

fn text() -> impl Strategy<Value = Option<String>> {
    option::of("[ -~\u{e9}\u{2003}]{1,12}")
}

fn requests() -> impl Strategy<Value = Requests> {
    let on = prop_oneof![
        proptest::sample::select(REQUESTS.iter().map(|it| it.1).collect::<Vec<_>>()),
        any::<i32>().prop_map(On::Code),
    ];
    let kinds = [SendKind::Single, SendKind::Batch, SendKind::OneWay].to_vec();
    (on, option::of(proptest::sample::select(kinds))).prop_map(|(on, kind)| Requests { on, kind })
}

fn action() -> impl Strategy<Value = Action> {
    let plain: Vec<Action> = ACTIONS.iter().map(|it| it.1.clone()).collect();
    let plain = proptest::sample::select(plain);
    (plain, any::<i32>(), any::<Duration>(), any::<u16>(), "[!-~]{1,9}").prop_map(
        |(action, code, time, number, text)| match action {
            Action::Refuse(_) => Action::Refuse(ResponseCode(code)),
            Action::Status(_) => Action::Status(ResponseCode(code % 20)),
            Action::Delay(_) => Action::Delay(time),
            Action::CutAfter(_) => Action::CutAfter(number.into()),
            Action::Trickle(_) => Action::Trickle(number.into()),
            Action::SlowClose(_) => Action::SlowClose(time),
            Action::CutRequestAfter(_) => Action::CutRequestAfter(number.into()),
            Action::ReadAt(_) => Action::ReadAt(number.into()),
            Action::WriteAt(_) => Action::WriteAt(number.into()),
            Action::Lie(Lie::AnotherAddress(_)) => Action::Lie(Lie::AnotherAddress(text)),
            Action::Lie(Lie::Queues(_)) => Action::Lie(Lie::Queues(number)),
            Action::Lie(Lie::StaleBy(_)) => Action::Lie(Lie::StaleBy(time)),
            plain => plain,
        },
    )
}

proptest! {
    /// Whatever a rule says, its words say it again, in the shell and in JSON.
    #[test]
    fn a_rule_is_what_its_words_say(
        requests in requests(),
        (topic, group, client, key, tag, remark) in (text(), text(), text(), text(), text(), text()),
        (queue, port) in any::<(Option<u16>, Option<u16>)>(),
        (first, after, every) in any::<(Option<u64>, u64, Option<u64>)>(),
        probability in option::of((0.0..=1.0, any::<u64>())),
        (time, jitter) in any::<(Option<Duration>, Option<Duration>)>(),
        after_store: bool,
        action in action(),
    ) {
        let mut fault = Fault::on(requests);
        (fault.place.topic, fault.place.group, fault.place.client) = (topic, group, client);
        (fault.place.key, fault.place.tag, fault.remark) = (key, tag, remark);
        (fault.place.queue, fault.place.port) = (queue, port);
        (fault.which.first, fault.which.after, fault.which.every) = (first, after, every);
        (fault.which.probability, fault.which.time) = (probability, time);
        (fault.after_store, fault.actions, fault.jitter) = (after_store, vec![action], jitter);
        prop_assert_eq!(read(&fault.to_string()), Ok(fault.clone()));
        let json = serde_json::to_string(&fault).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<Fault>(&json).ok(), Some(fault));
    }

    #[test]
    fn no_text_is_a_bug(text in "[a-z=\" \\\\]{0,40}") {
        let _ = read(&text);
    }
}
