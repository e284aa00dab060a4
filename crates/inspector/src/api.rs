//! What can be asked of the broker: `/api/v1/…`

mod arrival;
mod clients;
mod envelope;
mod faults;
mod messages;
mod path;
mod query;
mod rules;
mod time;
mod topics;
mod wire;

pub(crate) use clients::{clients, groups};
pub(crate) use faults::{add_faults, fault, faults, remove_fault, remove_faults};
pub(crate) use messages::{message, messages};
pub(crate) use topics::{topic, topics};
pub(crate) use wire::wire;
