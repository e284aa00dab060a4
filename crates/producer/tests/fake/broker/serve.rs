//! A connection at the broker: what is read, asked of the script, stored and answered.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use posthaste_protocol::frame::MAX_FRAME;
use posthaste_protocol::properties::name;
use posthaste_protocol::request::{Empty, Payload as _, SendAnswer, SendMessage, SendReply};
use posthaste_protocol::{Command, Fields, Frame, Incoming, Properties, RequestCode, batch};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::Broker;
use crate::fake::action::{Action, Close, Write};
use crate::fake::frames::answer;
use crate::fake::seen::Seen;

impl Broker {
    pub(super) async fn serve(&self, number: usize, stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        let mut life = self.0.life.subscribe();
        let born = *life.borrow_and_update();
        let (mut reader, mut writer) = stream.into_split();
        let (out, mut queue) = mpsc::unbounded_channel::<Out>();
        self.0.outs.lock().unwrap().push(out.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            while let Some(next) = queue.recv().await {
                match next {
                    Out::Bytes(bytes) => drop(writer.write_all(&bytes).await),
                    Out::Slowly(bytes) => {
                        for byte in bytes {
                            drop(writer.write_all(&[byte]).await);
                            tokio::time::sleep(Duration::from_millis(1)).await;
                        }
                    }
                    Out::Close(Close::Reset) => {
                        let stream = writer.as_ref();
                        let zero = Some(Duration::ZERO);
                        drop(socket2::SockRef::from(stream).set_linger(zero));
                        return;
                    }
                    Out::Close(_) => return,
                }
            }
        });
        let mut reading = self.0.reading.subscribe();
        let mut input = BytesMut::new();
        loop {
            tokio::select! {
                // Once it is down nothing more is read, even where it may read again.
                biased;
                // The writer ends when it was told to close.
                _ = tasks.join_next() => return,
                _ = life.wait_for(|now| *now != born) => return,
                stopped = reading.wait_for(|reading| *reading) => drop(stopped.unwrap()),
            }
            let read = tokio::select! {
                biased;
                _ = tasks.join_next() => return,
                _ = life.wait_for(|now| *now != born) => return,
                read = reader.read_buf(&mut input) => read,
            };
            loop {
                match Frame::take(&mut input, MAX_FRAME).map(|frame| frame.map(Command::decode)) {
                    Ok(Some(Ok(command))) => self.receive(number, command, &out),
                    Ok(None) => break,
                    Ok(Some(Err(_))) | Err(_) => {
                        self.0.broken_frames.fetch_add(1, Ordering::Relaxed);
                        return;
                    }
                }
            }
            if read.is_err() || matches!(read, Ok(0)) {
                self.0.torn.fetch_add(usize::from(!input.is_empty()), Ordering::Relaxed);
                return;
            }
        }
    }

    fn receive(&self, connection: usize, command: Command, out: &mpsc::UnboundedSender<Out>) {
        if command.is_answer() {
            self.0.answers.lock().unwrap().push(command);
            return;
        }
        let (opaque, oneway) = (command.opaque, command.is_oneway());
        let send = match Incoming::read(&command) {
            Ok(Incoming::Send(send) | Incoming::SendReply(SendReply(send))) => send,
            _ => return self.receive_other(command, out),
        };
        let mut requests = self.0.requests.lock().unwrap();
        if requests.len() < 64 {
            requests.push(command.clone());
        }
        drop(requests);
        let messages = messages_of(&send);
        let together = messages.len();
        let seen: Vec<Seen> = messages
            .into_iter()
            .map(|(text, body)| {
                let properties = Properties::decode(&text);
                Seen {
                    connection,
                    opaque,
                    code: command.code,
                    oneway,
                    id: properties.get(name::UNIQ_KEY).unwrap_or_default().to_owned(),
                    topic: send.topic.clone().into_owned(),
                    group: send.group.clone().into_owned(),
                    broker: send.broker_name.as_deref().unwrap_or_default().to_owned(),
                    unit_mode: send.unit_mode,
                    instance: properties.get(name::INSTANCE_ID).map(str::to_owned),
                    queue: send.queue_id,
                    key: properties.get(name::SHARDING_KEY).map(str::to_owned),
                    properties,
                    wire: text,
                    sys_flag: send.sys_flag,
                    body,
                    together,
                    outer: send.batch.then(|| send.properties.clone().into_owned()),
                    at: Instant::now(),
                }
            })
            .collect();
        let action = {
            let mut all = self.0.seen.lock().unwrap();
            all.extend(seen.iter().cloned());
            (self.0.script.lock().unwrap())(&seen)
        };
        let (broker, out) = (self.clone(), out.clone());
        let gate = if action.at_the_gate { Some(self.0.gate.clone()) } else { action.gate.clone() };
        match gate {
            None => broker.act(action, opaque, oneway, seen, out),
            Some(gate) => drop(tokio::spawn(async move {
                gate.acquire().await.unwrap().forget();
                broker.act(action, opaque, oneway, seen, out);
            })),
        }
    }

    /// Stores the messages of a request, if that is to be done, and answers it.
    fn act(
        &self,
        action: Action,
        opaque: i32,
        oneway: bool,
        seen: Vec<Seen>,
        out: mpsc::UnboundedSender<Out>,
    ) {
        let together = seen.len();
        let first_offset = {
            let mut stored = self.0.stored.lock().unwrap();
            let mut offsets = self.0.offsets.lock().unwrap();
            let next = offsets.entry((seen[0].topic.clone(), seen[0].queue)).or_default();
            let first = *next;
            if action.store {
                stored.extend(seen.iter().cloned());
                *next += seen.len() as i64;
            }
            first
        };
        if oneway && action.close == Close::No {
            return;
        }
        let id = |place: usize| format!("{:016X}{:016X}", opaque, place);
        let stored_at = SendAnswer {
            offset_message_id: (0..together).map(id).collect::<Vec<_>>().join(","),
            queue_id: seen[0].queue,
            queue_offset: first_offset,
            ..SendAnswer::default()
        };
        let ok = || answer(opaque, 0, "", &stored_at);
        let mut steps = Vec::new();
        match &action.write {
            Write::Nothing => {}
            Write::Answer(code @ (0 | 10 | 11 | 12), remark) => {
                steps.push(Out::Bytes(answer(opaque, *code, remark, &stored_at)));
            }
            Write::Answer(code, remark) => {
                steps.push(Out::Bytes(answer(opaque, *code, remark, &Empty)));
            }
            Write::Bytes(bytes) => steps.push(Out::Bytes(bytes.clone())),
            Write::Frames(make) => steps.push(Out::Bytes(make(opaque))),
            Write::Half => steps.push(Out::Bytes(ok()[..ok().len() / 2].to_vec())),
            Write::Twice => steps.push(Out::Bytes([ok(), ok()].concat())),
            Write::Slowly => steps.push(Out::Slowly(ok())),
        }
        if action.close != Close::No {
            steps.push(Out::Close(action.close));
        }
        let send = move || {
            for step in steps {
                let _ = out.send(step);
            }
        };
        if action.after.is_zero() {
            send();
        } else {
            tokio::spawn(async move {
                tokio::time::sleep(action.after).await;
                send();
            });
        }
    }

    fn greet(&self, opaque: i32) -> Vec<u8> {
        let mut fields = Fields::new();
        self.0.heartbeat_answer.lock().unwrap().write(&mut fields);
        let mut command = Command::request(RequestCode(0), opaque, fields, Bytes::new());
        (command.flag, command.version) = (1, *self.0.version.lock().unwrap());
        let mut out = BytesMut::new();
        command.encode(&mut out);
        out.to_vec()
    }

    fn receive_other(&self, command: Command, out: &mpsc::UnboundedSender<Out>) {
        let (opaque, oneway, code) = (command.opaque, command.is_oneway(), command.code);
        self.0.others.lock().unwrap().push(command);
        if *self.0.courteous.borrow() && !oneway {
            let refusal = self.0.refusals.lock().unwrap().get(&code).copied();
            let bytes = match refusal {
                None if code == RequestCode::HEART_BEAT.0 => self.greet(opaque),
                refusal => answer(opaque, refusal.unwrap_or_default(), "", &Empty),
            };
            let _ = out.send(Out::Bytes(bytes));
        }
    }
}

/// Properties and body of each message of a send.
fn messages_of(send: &SendMessage<'_>) -> Vec<(String, Bytes)> {
    if !send.batch {
        return vec![(send.properties.clone().into_owned(), send.body.clone())];
    }
    let entries = batch::decode(send.body.clone()).unwrap();
    entries.into_iter().map(|entry| (entry.properties, entry.body)).collect()
}

pub(super) enum Out {
    Bytes(Vec<u8>),
    Slowly(Vec<u8>),
    Close(Close),
}
