//! What can be asked of the broker: `/api/v1/…`

mod arrival;
mod clients;
mod envelope;
mod messages;
mod path;
mod query;
mod time;
mod topics;

pub(crate) use clients::{clients, groups};
pub(crate) use messages::{message, messages};
pub(crate) use topics::{topic, topics};
