//! An embedded name server and broker for clients of Apache RocketMQ, for tests and development.
//!
//! One process answers the requests of both, on two ports that take all of them:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), posthaste_broker::BrokerError> {
//! let broker = posthaste_broker::Broker::builder().start().await?;
//! println!("name server at {}", broker.name_server());
//! broker.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! By default messages live in memory, bounded by bytes, and the oldest are dropped first. With
//! [`data_dir`](BrokerBuilder::data_dir) they live on disk, and a send is answered once its message
//! is synced; the folder has a [limit](BrokerBuilder::data_limit) too. A damaged file is an error
//! that names it. If the broker itself fails, it stops, and [`Broker::failed`] says why.
//!
//! It fails on purpose where a test wants it to: [`fault`](BrokerHandle::fault) takes rules such as "refuse the first
//! three sends to this topic" or "store every tenth message and never answer" ([`Fault`]).
//!
//! What it does: routes; topics and their attributes; sends of every kind; transactions, with
//! checks of undecided ones; delay levels, and timer messages, kept to the millisecond and up to
//! three days, which can be taken back; requests and replies; queries by key, unique id and tag;
//! long polling with tag filters (and SQL92, if [that is wanted](BrokerBuilder::sql_filters)),
//! consumer groups with rebalancing, ordered locks, retries and dead letters. Attributes,
//! priorities, light queues and lite topics are kept with their topics and messages, and nothing
//! follows from them.
//!
//! Administration tools (`mqadmin`, dashboards, admin clients) get answers like those of 5.5.0:
//! about the cluster and its figures, topics, groups, connections, what a consumer is doing; they
//! create, change and delete topics and groups, and set offsets. A deleted topic is gone for
//! clients at once, and its place among the 1,000 is free; its messages take their room until they
//! are dropped as the oldest, as on real brokers. Refused on purpose, with code 3 like any code
//! that is not known: requests that write settings (25, 100, 102, 318; 102 is answered where it
//! deletes a topic's order, which there never is), users and their permissions (3001 to 3010), POP.
//! The settings that it gives out (26, 319) are a fixed, harmless set.
//!
//! With [`access_key`](BrokerBuilder::access_key) it requires every request to be signed, with
//! [`tls`](BrokerBuilder::tls) it takes encrypted connections. It has no replication and no
//! permissions of single topics. It is not a production broker; Apache RocketMQ is. In one point it
//! is stricter, on purpose: it refuses a half message with a delay (13), because real brokers store
//! it and never deliver it. In three points it is kinder: a transaction is not given up while none
//! of its producers is connected, a decision counts once, and a message that does not exist cannot
//! be recalled.
//!
//! A test looks at what was stored and who is connected through [`BrokerHandle`], which a [`Broker`]
//! is too: [`messages`](BrokerHandle::messages), [`clients`](BrokerHandle::clients) and the like. It
//! [waits](BrokerHandle::wait_for) for messages, [puts](BrokerHandle::put) some in,
//! [clears](BrokerHandle::clear) them, [decides](BrokerHandle::decide) transactions, and has delayed messages
//! [delivered now](BrokerHandle::deliver_now). [What went over the wire](BrokerHandle::wire) is kept as
//! long as someone asks for it. And the whole broker [pauses](BrokerHandle::pause), goes
//! [down](BrokerHandle::down), or [restarts](BrokerHandle::restart). A [`Cluster`] is several
//! brokers behind one name server. [`guide::testing`] has a test for each kind of failure.
//!
//! The way of a request: `server` accepts, `connection` turns bytes into requests and writes
//! answers (`encryption` is below it, and `accounts` has its say before a request goes on), `engine_loop`
//! is the thread that owns the `engine`, and applies the rules of `fault`, `handler` carries out each kind of
//! request, and `store` keeps messages and facts before the answer leaves.

mod accounts;
#[cfg(feature = "bench")]
pub mod bench;
mod broker;
mod builder;
mod connection;
mod encryption;
mod engine;
mod engine_loop;
mod error;
mod failure;
mod fault;
pub mod guide;
mod handler;
mod kit;
mod location;
mod outbox;
mod panicked;
mod request;
mod seats;
mod server;
mod store;
mod time;
mod wire;

pub use broker::{Addresses, Broker, BrokerHandle, BrokerStats, Restart};
pub use builder::BrokerBuilder;
pub use error::BrokerError;
pub use fault::{Fault, FaultError, FaultRule, On, Requests, SendKind};
pub use kit::{
    ClientInfo, Cluster, ClusterBuilder, Decision, GroupInfo, KitError, NewMessage, NotArrived,
    Page, PageOf, Position, PositionError, PutMessage, QueueInfo, StoredMessage, TopicInfo,
    Undecided, WaitsFor, WireConnection,
};
pub use store::WhenFull;
pub use wire::{WireEnd, WireExchange, WireFrame, WireSide};
