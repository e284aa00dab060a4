//! A scripted name server: it says what is said of topics and brokers, or what a fault makes of that.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use posthaste_protocol::frame::MAX_FRAME;
use posthaste_protocol::request::{BrokerData, Empty, QueueData, RouteOf, TopicRoute, permission};
use posthaste_protocol::{Command, Fields, Frame, RequestCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::deed::answer;
use super::fault::Fault;
use super::world::World;

/// How slow a slow one is.
const SLOW: Duration = Duration::from_millis(250);

#[derive(Clone)]
pub(super) struct NameServer(Arc<Inner>);

struct Inner {
    world: Arc<World>,
    address: SocketAddr,
    mood: Mutex<Option<(Fault, Duration)>>,
    /// What it said of each topic before it began to say what is old.
    old: Mutex<BTreeMap<String, TopicRoute>>,
    /// An address where no program listens. No other program gets its port.
    nowhere: SocketAddr,
}

impl NameServer {
    pub(super) async fn start(world: &Arc<World>, nowhere: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let server = Self(Arc::new(Inner {
            world: world.clone(),
            address: listener.local_addr()?,
            mood: Mutex::default(),
            old: Mutex::default(),
            nowhere,
        }));
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().serve(stream));
            }
        });
        Ok(server)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// Is so for a while.
    pub(super) fn feel(&self, fault: Fault, until: Duration) {
        if fault == Fault::StaleRoute {
            let topics: Vec<String> =
                self.0.world.land().topics.iter().map(|topic| topic.name.clone()).collect();
            let routes =
                topics.into_iter().filter_map(|name| Some((name.clone(), self.route(&name)?)));
            *self.0.old.lock().unwrap_or_else(PoisonError::into_inner) = routes.collect();
        }
        *self.0.mood.lock().unwrap_or_else(PoisonError::into_inner) = Some((fault, until));
    }

    fn mood(&self) -> Option<Fault> {
        let (fault, until) = (*self.0.mood.lock().unwrap_or_else(PoisonError::into_inner))?;
        (self.0.world.now() < until && !self.0.world.is_calm()).then_some(fault)
    }

    async fn serve(self, mut stream: TcpStream) {
        let mut input = BytesMut::new();
        loop {
            while let Ok(Some(frame)) = Frame::take(&mut input, MAX_FRAME) {
                let Ok(command) = Command::decode(frame) else { return };
                let Ok(asked) = command.read::<RouteOf>() else { continue };
                let mood = self.mood();
                if let Some(fault) = mood {
                    self.0.world.happens(fault);
                }
                match mood {
                    Some(Fault::NoAnswer) => continue,
                    Some(Fault::ClosesInstead) => return,
                    Some(Fault::SlowAnswer) => tokio::time::sleep(SLOW).await,
                    _ => {}
                }
                let said = self.say(command.opaque, &asked.topic, mood);
                if stream.write_all(&said).await.is_err() {
                    return;
                }
            }
            if stream.read_buf(&mut input).await.unwrap_or_default() == 0 {
                return;
            }
        }
    }

    fn say(&self, opaque: i32, topic: &str, mood: Option<Fault>) -> Vec<u8> {
        let known = match mood {
            Some(Fault::StaleRoute) => {
                let old = self.0.old.lock().unwrap_or_else(PoisonError::into_inner);
                old.get(topic).cloned()
            }
            Some(Fault::NoSuchTopic) => None,
            _ => self.route(topic),
        };
        let Some(mut route) = known else { return answer(opaque, 17, "no such topic", &Empty) };
        match mood {
            Some(Fault::EmptyRoute) => route = TopicRoute::default(),
            Some(Fault::ErrorCode) => return answer(opaque, 1, "name server in trouble", &Empty),
            Some(Fault::BrokenRoute) => return broken(opaque),
            Some(Fault::SlavesOnly) => {
                for broker in &mut route.brokers {
                    let addresses = std::mem::take(&mut broker.broker_addrs);
                    broker.broker_addrs = addresses.into_values().map(|one| (1, one)).collect();
                }
            }
            Some(Fault::NoWritePermission) => {
                route.queues.iter_mut().for_each(|queues| queues.perm = permission::READ);
            }
            Some(Fault::WrongAddress) => {
                if let Some(broker) = route.brokers.first_mut() {
                    broker.broker_addrs = BTreeMap::from([(0, self.0.nowhere.to_string())]);
                }
            }
            _ => {}
        }
        answer(opaque, 0, "", &route)
    }

    /// What is said of a topic.
    fn route(&self, topic: &str) -> Option<TopicRoute> {
        let land = self.0.world.land();
        let brokers = || {
            land.brokers.iter().map(|broker| BrokerData {
                broker_name: broker.name.clone(),
                broker_addrs: BTreeMap::from([(0, broker.said.to_string())]),
                cluster: "c".into(),
                ..BrokerData::default()
            })
        };
        let queues = |counts: &[i32]| -> Vec<QueueData> {
            let of = |(broker, count): (&super::world::Address, &i32)| QueueData {
                broker_name: broker.name.clone(),
                read_queue_nums: *count,
                write_queue_nums: *count,
                perm: permission::READ | permission::WRITE,
                ..QueueData::default()
            };
            land.brokers.iter().zip(counts).map(of).collect()
        };
        if topic == "c_REPLY_TOPIC" {
            let one = vec![1; land.brokers.len()];
            return Some(TopicRoute {
                brokers: brokers().collect(),
                queues: queues(&one),
                ..TopicRoute::default()
            });
        }
        let known = land.topics.iter().find(|known| known.name == topic && known.said.exists)?;
        Some(TopicRoute {
            brokers: brokers().collect(),
            queues: queues(&known.said.counts),
            ..TopicRoute::default()
        })
    }
}

/// Success, with a body that is no route.
fn broken(opaque: i32) -> Vec<u8> {
    let body = Bytes::from_static(b"{\"brokerDatas\":[{");
    let mut command = Command::request(RequestCode(0), opaque, Fields::new(), body);
    command.flag = 1;
    let mut bytes = BytesMut::new();
    command.encode(&mut bytes);
    bytes.to_vec()
}
