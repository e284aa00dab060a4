//! Where a topic is.

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::{Context, Result, bail};
use bytes::BytesMut;
use posthaste_protocol::request::{RouteOf, TopicRoute};
use posthaste_protocol::{Command, Frame, command};

/// A broker of a topic.
#[derive(Clone)]
pub(crate) struct Broker {
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) queues: i32,
}

/// The brokers of a topic, as the name server says.
pub(crate) fn brokers_of(name_server: &str, topic: &str) -> Result<Vec<Broker>> {
    let mut stream = TcpStream::connect(name_server)?;
    let mut bytes = BytesMut::new();
    let request = RouteOf { topic: topic.to_owned(), standard_json: Some(true) };
    command::put_request(&mut bytes, 0, false, &request);
    stream.write_all(&bytes)?;
    let answer = read_command(&mut stream)?;
    if answer.code != 0 {
        bail!("the name server has no route to {topic}: {:?}", answer.remark);
    }
    let route: TopicRoute = answer.read()?;
    let brokers = route.brokers.iter().map(|broker| {
        let queues = route.queues.iter().find(|queues| queues.broker_name == broker.broker_name);
        Ok(Broker {
            name: broker.broker_name.clone(),
            address: broker.master().context("a broker without a master")?.to_owned(),
            queues: queues.context("a broker without queues")?.write_queue_nums,
        })
    });
    brokers.collect()
}

fn read_command(stream: &mut TcpStream) -> Result<Command> {
    let mut bytes = BytesMut::new();
    let mut chunk = [0; 4096];
    loop {
        if let Some(frame) = Frame::take(&mut bytes, usize::MAX)? {
            return Ok(Command::decode(frame)?);
        }
        let read = stream.read(&mut chunk)?;
        if read == 0 {
            bail!("the name server hung up");
        }
        bytes.extend_from_slice(chunk.get(..read).unwrap_or_default());
    }
}
