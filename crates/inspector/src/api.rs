//! What can be asked of the broker: `/api/v1/…`

mod arrival;
mod clients;
mod description;
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
#[cfg(test)]
pub(crate) use description::DESCRIPTION;
pub(crate) use description::description;
pub(crate) use faults::{add_faults, fault, faults, remove_fault, remove_faults};
pub(crate) use messages::{message, messages};
pub(crate) use topics::{topic, topics};
pub(crate) use wire::wire;
