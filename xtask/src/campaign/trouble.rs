//! What befalls servers and topics in a round, and how it ends.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpSocket;

use super::broker::{Broker, name_of};
use super::conduct::Close;
use super::fault::{Fault, Scope};
use super::name_server::NameServer;
use super::plan::{Event, Plan};
use super::world::{Address, Queues, Topic, World};

/// All servers of a round.
#[derive(Clone)]
pub(super) struct Servers {
    world: Arc<World>,
    brokers: Vec<Broker>,
    name_servers: Vec<NameServer>,
    /// Keeps a port where no program listens.
    _nowhere: Arc<TcpSocket>,
}

pub(super) fn topic_name(place: usize) -> String {
    format!("topic-{place}")
}

impl Servers {
    pub(super) async fn start(world: &Arc<World>, plan: &Plan) -> std::io::Result<Self> {
        let nowhere = TcpSocket::new_v4()?;
        nowhere.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let brokers: std::io::Result<Vec<_>> =
            (0..plan.brokers).map(|place| Broker::start(world, place)).collect();
        let brokers = brokers?;
        {
            let mut land = world.land();
            let address = |broker: &Broker| Address {
                name: name_of(broker.place()),
                is: broker.address(),
                said: broker.address(),
            };
            land.brokers = brokers.iter().map(address).collect();
            let topic = |(place, count): (usize, &i32)| {
                let queues = Queues { exists: true, counts: vec![*count; plan.brokers] };
                Topic { name: topic_name(place), is: queues.clone(), said: queues }
            };
            land.topics = plan.topics.iter().enumerate().map(topic).collect();
        }
        let mut name_servers = Vec::new();
        for _ in 0..plan.name_servers {
            name_servers.push(NameServer::start(world, nowhere.local_addr()?).await?);
        }
        let world = world.clone();
        Ok(Self { world, brokers, name_servers, _nowhere: Arc::new(nowhere) })
    }

    /// The list that a producer is given.
    pub(super) fn list(&self) -> String {
        let addresses = self.name_servers.iter().map(|server| server.address().to_string());
        addresses.collect::<Vec<_>>().join(";")
    }

    /// Has everything happen in its time.
    pub(super) async fn trouble(self, events: Vec<Event>) {
        for event in events {
            let wait = event.at.saturating_sub(self.world.now());
            tokio::time::sleep(wait).await;
            if self.world.is_calm() {
                return;
            }
            // Each by itself: one lasts longer than the next takes to come.
            tokio::spawn(self.clone().happen(event));
        }
    }

    async fn happen(self, event: Event) {
        let _guard = self.world.under_way();
        let Event { fault, place, lasts, .. } = event;
        let until = self.world.now() + lasts;
        self.world.note(format!("{} {place} for {lasts:?}: {}", what(fault), fault.text()));
        match (fault.scope(), self.brokers.get(place), self.name_servers.get(place)) {
            (Scope::Broker, Some(broker), _) => {
                self.world.happens(fault);
                self.befall(broker, event, until).await;
            }
            (Scope::Topic, ..) => {
                self.world.happens(fault);
                self.change_topic(event).await;
            }
            (Scope::NameServer, _, Some(server)) => server.feel(fault, until),
            _ => {}
        }
    }

    async fn befall(&self, broker: &Broker, event: Event, until: Duration) {
        match event.fault {
            Fault::BrokerRestarts => {
                broker.down();
                self.wait(event.lasts).await;
                if broker.up().is_err() {
                    self.world.note("the broker could not listen again");
                }
            }
            Fault::BrokerMoves => {
                if broker.move_away().is_err() {
                    self.world.note("the broker could not move");
                }
                self.wait(event.lag).await;
                self.say_addresses();
            }
            Fault::DisconnectStorm => {
                while self.world.now() < until && !self.world.is_calm() {
                    broker.cut_links(Close::Reset);
                    self.wait(Duration::from_millis(60)).await;
                }
            }
            fault => broker.feel(fault, until),
        }
    }

    async fn change_topic(&self, event: Event) {
        let change = |change: &dyn Fn(&mut Queues)| {
            if let Some(topic) = self.world.land().topics.get_mut(event.place) {
                change(&mut topic.is);
            }
        };
        let fewer = |counts: &mut Vec<i32>| {
            counts.iter_mut().for_each(|count| *count = (*count).min(event.queues));
        };
        match event.fault {
            Fault::TopicShrinks => change(&|queues| fewer(&mut queues.counts)),
            Fault::TopicGrows => change(&|queues| {
                queues.counts.iter_mut().for_each(|count| *count += event.queues);
            }),
            _ => {
                change(&|queues| queues.exists = false);
                self.wait(event.lasts / 4).await;
                change(&|queues| {
                    queues.exists = true;
                    fewer(&mut queues.counts);
                });
            }
        }
        self.wait(event.lag).await;
        self.say_topics();
    }

    /// Waits, but not beyond the end of trouble.
    async fn wait(&self, time: Duration) {
        let until = self.world.now() + time;
        while self.world.now() < until && !self.world.is_calm() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn say_addresses(&self) {
        self.world.land().brokers.iter_mut().for_each(|broker| broker.said = broker.is);
    }

    fn say_topics(&self) {
        self.world.land().topics.iter_mut().for_each(|topic| topic.said = topic.is.clone());
    }

    /// Name servers know everything as it is, and connections that are of no use any more end.
    pub(super) fn recover(&self) {
        self.say_addresses();
        self.say_topics();
        self.brokers.iter().for_each(|broker| broker.cut_links(Close::Fin));
    }

    /// The producer's connections to brokers that are still there.
    pub(super) fn open_links(&self) -> usize {
        self.world.record().links.iter().filter(|link| link.ended_at.is_none()).count()
    }
}

fn what(fault: Fault) -> &'static str {
    match fault.scope() {
        Scope::Topic => "topic",
        Scope::NameServer => "name server",
        _ => "broker",
    }
}
