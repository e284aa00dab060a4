//! Control over HTTP of an embedded broker for clients of Apache RocketMQ, for tests in any language, and
//! its pages for a browser.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let broker = posthaste_broker::Broker::builder().start().await?;
//! let inspector = posthaste_inspector::serve(&broker, "127.0.0.1:0".parse()?).await?;
//! println!("look at {}/api/v1/topics", inspector.url());
//! inspector.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! `posthaste dev` starts one at 127.0.0.1:9877.
//!
//! | path | answer |
//! |---|---|
//! | `/api/v1/messages?topic=T` | messages: a page, or the first ones that match, as soon as they are stored |
//! | `/api/v1/messages/{id}` | one message, by either of its ids |
//! | `/api/v1/topics`, `/api/v1/topics/{topic}` | topics; a topic with its queues |
//! | `/api/v1/groups`, `/api/v1/clients` | producer and consumer groups; connections |
//! | `/api/v1/faults`, `/api/v1/faults/{id}` | fault rules: what they have hit; added with POST, removed with DELETE |
//! | `/api/v1/wire` | the last requests and answers of each connection; the first question switches this on |
//! | `/api/v1/openapi.json` | a description of all of this, in the form of OpenAPI |
//! | `/healthz`, `/readyz`, `/metrics` | whether this server and the broker answer; figures for Prometheus |
//!
//! The same address opened in a browser shows pages: figures, topics, messages as they come, who is
//! connected, a form that sends, the fault rules, and what went over the wire. They work without JavaScript, but for what moves.
//!
//! [`guide::testing`] has tests in Python, Java and Go. An assertion in a shell: the answer comes as soon as two messages with this key are stored; after
//! five seconds it is 504, and says what has been stored instead.
//!
//! ```text
//! curl --fail-with-body 'http://127.0.0.1:9877/api/v1/messages?topic=orders&key=order-42&count=2&wait=5s'
//! ```
//!
//! A fault rule has the words of [`Fault`](posthaste_broker::Fault) as members; a list is added as a whole. A test waits
//! until the rule has hit what it is to hit:
//!
//! ```text
//! curl --fail-with-body -H 'content-type: application/json' http://127.0.0.1:9877/api/v1/faults \
//!      -d '{"on": "send", "topic": "orders", "first": 3, "do": "refuse", "code": "SYSTEM_BUSY"}'
//! curl --fail-with-body 'http://127.0.0.1:9877/api/v1/faults/1?hits=3&wait=5s'
//! ```
//!
//! Errors are JSON: `{"error":{"kind":…,"message":…,"help":…}}`. Messages have the fields that
//! `posthaste tail -o json` writes, and `details` beside them.
//!
//! **Who may ask.** The `Host` of a request is a loopback name or one that was
//! [given](Builder::host), with the port: a page on the internet cannot reach this server by a name of
//! its own that leads here. What changes something comes from no other page: its `Origin` is this
//! server's own, or it has none and a JSON body; the forms of the pages carry a token too. Off loopback
//! everything but `/healthz` and `/readyz` needs a [password](Builder::password).
//!
//! **Bounds.** 256 connections, 128 requests that wait, 32 pages that are live, 64 MiB for answers and
//! bodies on their way, 1 MiB for a body, 100 fault rules. What is beyond gets 503 or 413, and the broker's
//! own ports do not notice.

mod adding;
mod api;
mod body;
mod error;
mod guard;
pub mod guide;
mod health;
mod history;
mod hosts;
mod inspector;
mod listener;
mod metrics;
mod pages;
mod password;
mod percent;
mod reply;
mod room;
mod routes;
mod shared;
mod token;

pub use body::Body;
pub use error::ServeError;
pub use inspector::{Builder, Inspector, serve};
pub use password::Password;
